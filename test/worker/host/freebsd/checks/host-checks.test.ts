import { describe, expect, it } from 'vitest'
import { addressesOf, checkPools } from '../../../../../worker/host/checks/check-pools.ts'
import {
  checkDevfsRuleset,
  checkInterface,
  checkRctl,
  checkZfs,
  type FreebsdCheckHost,
} from '../../../../../worker/host/freebsd/checks/host-checks.ts'
import { type Script, scriptedPrograms } from '../../../../support/programs/scripted-programs.ts'

type Overrides = { network?: object }

function hostWith(scripts: Record<string, Script>, { network = {} }: Overrides = {}): FreebsdCheckHost {
  return {
    run: scriptedPrograms(scripts).run,
    config: {
      root: '/provost',
      network: { mode: 'shared', interface: 'em0', pools: [], ...network },
      capacity: { jails: 1, memory: 1, cpu: 1, fills: 1, builds: 1, starts: 1 },
    },
  }
}

const prints =
  (text: string): Script =>
  (_, say) =>
    void say.stdout(text)
const fails =
  (text: string): Script =>
  (_, say) => {
    say.stderr(text)
    return 1
  }

describe('limits', () => {
  const sysctl =
    (...looks: string[]): Script =>
    (args, say) =>
      void say.stdout(args.includes('kern.racct.enable') ? '1\n' : looks.map((line) => `${line}\n`).join(''))

  it('are taken when the tunable says so', async () => {
    expect(await checkRctl(hostWith({ sysctl: sysctl('10', '100') }))).toEqual({
      ok: true,
      detail: 'kern.racct.enable is 1: rctl(8) takes limits of memory, CPU and processes.',
    })
    const unknown: Script = (args, say) => (args.includes('kern.hz') ? 1 : void say.stdout('1\n'))
    expect(await checkRctl(hostWith({ sysctl: unknown }))).not.toHaveProperty('remedy')
  })

  it('of memory may be passed until the kernel looks again', async () => {
    expect(await checkRctl(hostWith({ sysctl: sysctl('1000', '1000') }))).toMatchObject({
      ok: true,
      detail: expect.stringContaining('The kernel looks at memory each 1000 ms: until then a jail may pass its limit.'),
      remedy: expect.stringContaining('vm.vmdaemon_timeout'),
    })
  })

  it('of memory are refused at once where the host counts what is reserved, however seldom the kernel looks', async () => {
    const host = hostWith({ sysctl: sysctl('1000', '1000') })
    expect(await checkRctl({ ...host, config: { ...host.config, limits: { memory: 'reserved' } } })).toEqual({
      ok: true,
      detail:
        'kern.racct.enable is 1: rctl(8) takes limits of memory, CPU and processes. ' +
        'What a jail reserves beyond its memory is refused at once.',
    })
  })

  it('need a reboot when it does not, and another kernel when there is none', async () => {
    expect(await checkRctl(hostWith({ sysctl: prints('0\n') }))).toMatchObject({
      ok: false,
      remedy: 'Put kern.racct.enable=1 into /boot/loader.conf, and reboot.',
    })
    expect(await checkRctl(hostWith({ sysctl: fails("sysctl: unknown oid 'kern.racct.enable'\n") }))).toMatchObject({
      ok: false,
      remedy: expect.stringContaining('RACCT'),
    })
  })
})

describe('the rulesets of devfs', () => {
  const loaded: Record<string, string> = {
    1: '100 hide\n',
    4: '100 include 1\n200 include 2\n300 include 3\n400 path fuse unhide\n500 path zfs unhide\n',
    5: '100 include 1\n200 include 2\n300 include 3\n400 include 4\n500 path pf unhide\n',
  }
  const devfs =
    (rules: Record<string, string>): Script =>
    (args, say) =>
      void say.stdout(rules[args[2] ?? ''] ?? '')

  it('hide what a jail may not have', async () => {
    expect(await checkDevfsRuleset(hostWith({ devfs: devfs(loaded) }))).toMatchObject({ ok: true })
  })

  it('are asked for by the kind of network', async () => {
    const { 5: _, ...without } = loaded
    expect(await checkDevfsRuleset(hostWith({ devfs: devfs(without) }))).toMatchObject({ ok: true })
    expect(await checkDevfsRuleset(hostWith({ devfs: devfs(without) }, { network: { mode: 'vnet' } }))).toMatchObject({
      ok: false,
      detail: expect.stringContaining('Ruleset 5'),
    })
  })

  it('show every device when they are not loaded, or hide nothing', async () => {
    for (const rules of [{}, { ...loaded, 1: '' }, { ...loaded, 4: '100 path zfs unhide\n' }])
      expect(await checkDevfsRuleset(hostWith({ devfs: devfs(rules) }))).toMatchObject({
        ok: false,
        remedy: expect.stringContaining('service devfs restart'),
      })
  })
})

describe('the pool of jails', () => {
  it('is there, or is missed', async () => {
    expect(await checkZfs(hostWith({ zfs: prints('zroot\n') }), 'zroot')).toMatchObject({ ok: true })
    const zfs = fails("cannot open 'zroot': dataset does not exist\n")
    expect(await checkZfs(hostWith({ zfs }), 'zroot')).toMatchObject({ ok: false, remedy: expect.stringContaining('zpool') })
  })
})

describe('the interface of jails', () => {
  const bridge = 'bridge0: flags=8843<UP,RUNNING> metric 0 mtu 1500\n\tether 58:9c:fc:10:ff:b6\n\tgroups: bridge\n'
  const network = { mode: 'vnet', bridge: 'bridge0' }

  it('must be there where addresses are put on it', async () => {
    const ifconfig = prints('em0: flags=8863<UP,BROADCAST> metric 0 mtu 1500\n')
    expect(await checkInterface(hostWith({ ifconfig }))).toMatchObject({ ok: true })
    const absent = fails('ifconfig: interface em0 does not exist\n')
    expect(await checkInterface(hostWith({ ifconfig: absent }))).toMatchObject({ ok: false })
  })

  it('is a bridge with VNET, or is made', async () => {
    expect(await checkInterface(hostWith({ ifconfig: prints(bridge) }, { network }))).toMatchObject({ ok: true })
    const absent = fails('ifconfig: interface bridge0 does not exist\n')
    expect(await checkInterface(hostWith({ ifconfig: absent }, { network }))).toMatchObject({
      ok: true,
      remedy: expect.any(String),
    })
    const other = prints(bridge.replace('groups: bridge', 'groups: tap'))
    expect(await checkInterface(hostWith({ ifconfig: other }, { network }))).toMatchObject({ ok: false })
  })
})

describe('the addresses of the host', () => {
  const ifconfig = `em0: flags=8863<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
	options=481249b<RXCSUM,TXCSUM>
	ether 58:9c:fc:00:00:01
	inet 192.0.2.10 netmask 0xffffff00 broadcast 192.0.2.255
	inet 192.0.2.11 netmask 0xffffffff broadcast 192.0.2.11 vhid 1
	inet6 fe80::5a9c:fcff:fe00:1%em0 prefixlen 64 scopeid 0x1
	inet6 2001:db8::10 prefixlen 64
	media: Ethernet autoselect (1000baseT <full-duplex>)
lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> metric 0 mtu 16384
	inet 127.0.0.1 netmask 0xff000000
`

  it('are read from ifconfig', () => {
    expect(addressesOf(ifconfig)).toEqual([
      { name: 'em0', address: '192.0.2.10' },
      { name: 'em0', address: '192.0.2.11' },
      { name: 'em0', address: 'fe80::5a9c:fcff:fe00:1' },
      { name: 'em0', address: '2001:db8::10' },
      { name: 'lo0', address: '127.0.0.1' },
    ])
  })

  it('are in no pool, but for what it excludes and its gateway on the bridge', () => {
    const own = addressesOf(ifconfig)
    const pool = (more: object) => [{ name: 'main', cidr: '192.0.2.0/24', exclude: [], ...more }]
    expect(checkPools(pool({ exclude: ['192.0.2.10'] }), own, undefined)).toEqual({
      ok: false,
      detail: '192.0.2.11 on em0 is inside pool main.',
      remedy: expect.stringContaining('exclude'),
    })
    expect(checkPools(pool({ exclude: ['192.0.2.10-192.0.2.11'] }), own, undefined)).toMatchObject({ ok: true })
    const gateway = pool({ gateway: '192.0.2.10', exclude: ['192.0.2.11'] })
    expect(checkPools(gateway, own, 'em0')).toMatchObject({ ok: true })
    expect(checkPools(gateway, own, 'bridge0')).toMatchObject({ ok: false })
    const six = [{ name: 'six', cidr: '2001:db8::/64', exclude: [] }]
    expect(checkPools(six, own, undefined)).toMatchObject({ ok: false })
  })
})
