import { expect, test } from 'vitest'
import { formatAddress } from '#shared/network/addresses.ts'
import { ipv4Routes, ipv6Routes } from '../../../cli/dev/networks-in-use.ts'

const text = (routes: ReturnType<typeof ipv4Routes>) =>
  routes.map(({ device, block }) => `${device} ${formatAddress(block.family, block.value)}/${block.prefix}`)

test('reads the IPv4 routes of the kernel', () => {
  const table = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000200A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`
  expect(text(ipv4Routes(table))).toEqual(['eth0 0.0.0.0/0', 'eth0 192.0.2.0/24', 'tun0 10.32.0.0/16'])
})

test('reads the IPv6 routes of the kernel', () => {
  const table = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0
`
  expect(text(ipv6Routes(table))).toEqual(['eth0 fd00::/64', 'eth0 ::/0'])
})
