import { describe, expect, it } from 'vitest'
import type { WorkerConfig } from '../../../../worker/config/config.ts'
import { layoutOf } from '../../../../worker/host/freebsd/layout.ts'
import { cpusOf } from '../../../../worker/host/freebsd/limits/cpus.ts'
import { limitRules } from '../../../../worker/host/freebsd/limits/limits.ts'
import { parseInterfaces } from '../../../../worker/host/freebsd/network/interfaces.ts'
import { marked } from '../../../../worker/host/freebsd/processes/end-processes.ts'

// As iocage's documentation shows it of a FreeBSD 12 host.
const ifconfig = `em0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
\toptions=28<VLAN_MTU,JUMBO_MTU>
\tether 52:54:00:12:34:56
\tinet6 fe80::5054:ff:fe12:3456%em0 prefixlen 64 scopeid 0x1
\tinet 10.0.2.15 netmask 0xffffff00 broadcast 10.0.2.255
\tinet 10.0.2.16 netmask 0xffffffff broadcast 10.0.2.16
\tmedia: Ethernet 1000baseT <full-duplex>
\tstatus: active
tun0: flags=8010<POINTOPOINT,MULTICAST> metric 0 mtu 1420
\tinet 10.9.0.2 --> 10.9.0.1 netmask 0xffffffff
vnet0.29: flags=8943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST> metric 0 mtu 1500
\tdescription: associated with jail: vnetcage as nic: epair0b
\tgroups: epair
vm-services: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
\tmember: vnet0.29 flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>
\t        ifmaxaddr 0 port 4 priority 128 path cost 2000
\tgroups: bridge
`

describe('what the host answers', () => {
  it('is read of interfaces as ifconfig prints them', () => {
    expect(parseInterfaces(ifconfig)).toEqual([
      {
        name: 'em0',
        up: true,
        mtu: 1_500,
        addresses: ['fe80::5054:ff:fe12:3456/64', '10.0.2.15/24', '10.0.2.16/32'],
        members: [],
        groups: [],
      },
      { name: 'tun0', up: false, mtu: 1_420, addresses: ['10.9.0.2/32'], members: [], groups: [] },
      {
        name: 'vnet0.29',
        up: true,
        mtu: 1_500,
        description: 'associated with jail: vnetcage as nic: epair0b',
        addresses: [],
        members: [],
        groups: ['epair'],
      },
      { name: 'vm-services', up: true, mtu: 1_500, addresses: [], members: ['vnet0.29'], groups: ['bridge'] },
    ])
  })

  it('is read of processes: only what a worker of this root left on the host itself', () => {
    const ps = [
      '  100     1   0 PROVOST_WORKER=/jails PATH=/bin sleep 9',
      '  101     1   0 PROVOST_WORKER=/jails2 PATH=/bin sleep 9',
      '  102    50   0 PROVOST_WORKER=/jails ps -axeww',
      '   50     1   0 PROVOST_WORKER=/jails node worker/main.ts',
      '  103     1   7 PROVOST_WORKER=/jails sh',
      '  104     1   0 sleep 9',
      '',
    ].join('\n')
    expect(marked(ps, ['PROVOST_WORKER=/jails'], 50)).toEqual([100])
    const ofOne = ps.replace('PROVOST_WORKER=/jails PATH', 'PROVOST_WORKER=/jails PROVOST_OPERATION=o1 PATH')
    expect(marked(ofOne, ['PROVOST_WORKER=/jails', 'PROVOST_OPERATION=o1'], 50)).toEqual([100])
    expect(marked(ps, ['PROVOST_WORKER=/jails', 'PROVOST_OPERATION=o1'], 50)).toEqual([])
  })
})

describe('names of interfaces', () => {
  it('fit into 15 characters and differ between jails and hosts', () => {
    const long = 'a'.repeat(30)
    const names = [layoutOf('/jails'), layoutOf('/others')].flatMap((layout) =>
      [long, `${long.slice(1)}b`].flatMap((name) => [layout.jail(name).hostEnd, layout.jail(name).jailEnd]),
    )
    expect(new Set(names).size).toBe(8)
    expect(Math.max(...names.map(({ length }) => length))).toBeLessThanOrEqual(15)
  })
})

describe('rules of rctl', () => {
  const host = { config: {} as WorkerConfig }

  it('refuse beside it what would reserve more, where the host says so', () => {
    const reserving = { config: { limits: { memory: 'reserved' } } as WorkerConfig }
    expect(limitRules(reserving, { name: 'a', limits: { memory: 1_024, cpu: 1, processes: 7 } })).toEqual([
      'jail:a:memoryuse:sigkill=1024',
      'jail:a:swapuse:deny=1024',
      'jail:a:maxproc:deny=7',
      'jail:a:pcpu:deny=100',
    ])
  })

  it('kill what has more memory than it may: seen on 15.1, deny refuses nothing of what is resident', () => {
    const rules = limitRules(host, { name: 'a', limits: { memory: 1_024, cpu: 1, processes: 7 } })
    expect(rules).toEqual(['jail:a:memoryuse:sigkill=1024', 'jail:a:maxproc:deny=7', 'jail:a:pcpu:deny=100'])
  })

  it('are whole percents of one core, and never none', () => {
    const pcpu = (cpu: number) => limitRules(host, { name: 'a', limits: { memory: 1, cpu, processes: 1 } })[2]
    expect([0.01, 0.001, 0.5, 1, 2.5].map(pcpu)).toEqual([1, 1, 50, 100, 250].map((percent) => `jail:a:pcpu:deny=${percent}`))
  })
})

describe('the CPUs of jails', () => {
  const names = Array.from({ length: 400 }, (_, i) => `web${i}`)
  const cpus = (name: string, cpu: number, count: number) => cpusOf({ name, limits: { memory: 1, cpu, processes: 1 } }, count)

  it('are spread evenly over the host', () => {
    const on = [0, 1, 2, 3].map((id) => names.filter((name) => cpus(name, 0.5, 4) === `${id}`).length)
    expect(on.reduce((sum, each) => sum + each)).toBe(400)
    for (const each of on) expect(each).toBeGreaterThan(70)
  })

  it('are side by side, from the last to the first where they must', () => {
    const seen = [...new Set(names.map((name) => cpus(name, 1.5, 4)))].sort()
    expect(seen).toEqual(['0,1', '0,3', '1,2', '2,3'])
  })

  it('are not said where all of the host are meant', () => {
    expect([1, 4, 3.1, 9].map((cpu) => cpus('web1', cpu, cpu === 1 ? 1 : 4))).toEqual(Array(4).fill(undefined))
    expect(cpus('web1', 3, 4)).toMatch(/^\d,\d,\d$/)
  })
})
