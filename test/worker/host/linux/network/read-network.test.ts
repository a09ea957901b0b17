import { expect, it } from 'vitest'
import { addresses4 } from '../../../../../worker/host/linux/network/read-network.ts'

const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 10.77.0.0/16 2 0 2
        +-- 10.77.0.0/28 2 0 2
           |-- 10.77.0.0
              /16 link UNICAST
           |-- 10.77.0.10
              /32 host LOCAL
        |-- 10.77.255.255
           /32 link BROADCAST
     |-- 192.0.2.9
        /32 host LOCAL
     +-- 127.0.0.0/31 1 0 0
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
Local:
           |-- 10.77.0.10
              /32 host LOCAL
`
const routes = [
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
  'eth0\t00000000\t01004D0A\t0003\t0\t0\t0\t00000000\t0\t0\t0',
  'eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
].join('\n')

it('reads the IPv4 addresses of a namespace with the prefixes of their networks', () => {
  expect(addresses4(trie, routes)).toEqual(['10.77.0.10/16', '192.0.2.9/32', '127.0.0.1/32'])
})
