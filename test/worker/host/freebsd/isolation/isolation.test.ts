import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { TrialFreebsd } from '../../../../support/hosts/trial-freebsd.ts'
import { faultsOf, provision, signal, test } from '../host-test.ts'

type Break = (trial: TrialFreebsd) => void
const amended =
  (parameters: Record<string, string | string[]>): Break =>
  ({ kernel }) =>
    kernel.amend(parameters)

const link = ({ kernel, layout }: TrialFreebsd, end: 'hostEnd' | 'jailEnd') =>
  kernel.links.find(({ name }) => name === layout.jail('j1')[end])

const shared: [string, string, Break][] = [
  ['hostname', 'sees another name', amended({ 'host.hostname': 'host-1' })],
  ['hostname', "shares the host's name", amended({ host: 'inherit' })],
  ['addresses', 'has one address more', amended({ 'ip4.addr': ['10.0.0.11', '10.0.0.99'] })],
  ['addresses', 'lacks an address', amended({ 'ip6.addr': [] })],
  ['addresses', "has all of the host's IPv4 addresses", amended({ ip4: 'inherit' })],
  ['addresses', 'has a network of its own where it should not', amended({ vnet: 'new' })],
  ['addresses', 'has an address that is on no interface', ({ kernel }) => kernel.links[0]?.addresses.pop()],
  [
    'addresses',
    'has an address with another prefix on the interface',
    ({ kernel }) => {
      kernel.links[0]?.addresses.splice(0, 1, { family: 'inet', address: '10.0.0.11', prefix: 32 })
    },
  ],
  [
    'processes',
    'has a process of the host',
    ({ kernel }) => {
      kernel.jails.get(1)?.processes.add({ pid: 4711, command: 'sshd', jid: 0 })
    },
  ],
  ['processes', 'has a jail inside it', amended({ 'children.cur': '1' })],
  ['root', 'has a directory of the host', mounted('data', 'nullfs')],
  ['root', 'has a second /dev', mounted('dev', 'devfs')],
  ['root', 'has something over its root', mounted('.', 'tmpfs')],
  ['devices', 'is under another ruleset', amended({ devfs_ruleset: '0' })],
  [
    'devices',
    'has no devfs',
    ({ kernel }) => {
      kernel.mounts = kernel.mounts.filter(({ fsType }) => fsType !== 'devfs')
    },
  ],
  ['devices', 'sees a disk', device('ada0')],
  ['devices', 'sees the memory', device('mem')],
  ['devices', 'sees pf, which is for a network of its own', device('pf')],
  ['privileges', 'may mount', amended({ 'allow.mount': 'true' })],
  ['privileges', 'may what only a later release knows', amended({ 'allow.something_new': 'true' })],
  ['privileges', 'may rename itself', amended({ 'allow.set_hostname': 'true' })],
  ['privileges', 'is on a lower securelevel', amended({ securelevel: '-1' })],
  ['privileges', 'sees the mounts of others', amended({ enforce_statfs: '1' })],
  ['privileges', 'may have jails of its own', amended({ 'children.max': '10' })],
  ['privileges', "shares the host's shared memory", amended({ sysvshm: 'inherit' })],
  ['limits', 'has no rules', ({ kernel }) => void kernel.rules.splice(0)],
  ['limits', 'has one rule more', ({ kernel }) => void kernel.rules.push('jail:j1:maxproc:deny=5000')],
  ['limits', 'has more memory', ({ kernel }) => void kernel.rules.splice(0, 1, 'jail:j1:memoryuse:sigkill=1')],
]

const vnet: [string, string, Break][] = [
  ['addresses', "is in the host's network", amended({ vnet: 'inherit' })],
  ['addresses', 'has lost an address', (trial) => link(trial, 'jailEnd')?.addresses.pop()],
  [
    'addresses',
    'has given itself an address',
    (trial) => void link(trial, 'jailEnd')?.addresses.push({ family: 'inet', address: '10.0.0.99', prefix: 24 }),
  ],
  [
    'addresses',
    'has an interface of the host',
    ({ kernel }) => {
      if (kernel.links[0]) kernel.links[0].vnet = 1
    },
  ],
  [
    'addresses',
    'is off the bridge',
    ({ kernel }) => {
      for (const each of kernel.links) each.members = []
    },
  ],
  ['devices', 'is under the ruleset of a shared network', amended({ devfs_ruleset: '4' })],
]

const zfs: [string, string, Break][] = [
  [
    'root',
    'is a clone of another world',
    ({ kernel }) => void Object.assign(kernel.datasets.get('tank/provost/roots/j1') ?? {}, { origin: 'tank/other@filled' }),
  ],
  [
    'root',
    'lies in a dataset that is not mounted',
    ({ kernel }) => {
      kernel.mounts = kernel.mounts.filter(({ device }) => device !== 'tank/provost/roots/j1')
    },
  ],
]

function mounted(name: string, fsType: string): Break {
  return ({ kernel, layout }) => void kernel.mounts.push({ device: '/home', point: join(layout.jail('j1').root, name), fsType })
}

function device(name: string): Break {
  return ({ layout }) => writeFileSync(join(layout.jail('j1').root, 'dev', name), '')
}

describe('the proof of isolation', () => {
  test.for(shared)('fails %s alone when the jail %s', async ([name, , damage], { open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    expect(await faultsOf(trial, jail)).toEqual([])
    damage(trial)
    expect(await faultsOf(trial, jail)).toEqual([name])
  })

  test.for(vnet)('with a network of its own fails %s alone when the jail %s', async ([name, , damage], { open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail()
    await provision(trial, jail)
    expect(await faultsOf(trial, jail)).toEqual([])
    damage(trial)
    expect(await faultsOf(trial, jail)).toEqual([name])
  })

  test.for(zfs)('on ZFS fails %s alone when the jail %s', async ([name, , damage], { open }) => {
    const trial = await open({ storage: 'zfs' })
    const jail = trial.jail()
    await provision(trial, jail)
    expect(await faultsOf(trial, jail)).toEqual([])
    damage(trial)
    expect(await faultsOf(trial, jail)).toEqual([name])
  })

  test('with a network of its own lets root clone interfaces there', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail()
    await provision(trial, jail)
    const end = link(trial, 'jailEnd')
    const addresses = [{ family: 'inet' as const, address: '192.168.9.1', prefix: 24 }]
    if (end) trial.kernel.links.push({ ...end, name: 'bridge7', kind: 'bridge', addresses })
    expect(await faultsOf(trial, jail)).toEqual([])
    if (end) trial.kernel.links.push({ ...end, name: 'epair9b', addresses })
    expect(await faultsOf(trial, jail)).toEqual(['addresses'])
  })

  test('says what it saw', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    for (const name of ['null', 'zero', 'random', 'urandom', 'ptmx', 'stdin'])
      writeFileSync(join(trial.layout.jail('j1').root, 'dev', name), '')
    mkdirSync(join(trial.layout.jail('j1').root, 'dev/fd'))
    expect((await trial.host.proveIsolation(jail, signal)).checks).toEqual([
      { name: 'hostname', ok: true, detail: 'sees host-1.example.com, its own' },
      { name: 'addresses', ok: true, detail: 'has 10.0.0.11/24, fd00:1::11/64 on em0 and no other' },
      { name: 'processes', ok: true, detail: '0 processes, all in jail 1, and no jail inside it' },
      { name: 'root', ok: true, detail: '/ is a copy of its world, with nothing mounted but /dev' },
      { name: 'devices', ok: true, detail: '/dev has ruleset 4 and shows 7 harmless entries' },
      {
        name: 'privileges',
        ok: true,
        detail: 'securelevel 2, nothing allowed beyond the default; setuid programs give their rights',
      },
      { name: 'limits', ok: true, detail: 'rules hold it to 67108864 bytes resident, 0.5 cores, 50 processes' },
    ])
  })

  test('fails privileges of a jail that may use setuid programs where its root is mounted nosuid, and of no other', async ({
    open,
  }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    const asked = { ...jail, privileges: { setuid: true } }
    expect(await faultsOf(trial, asked)).toEqual([])
    Object.assign(trial.kernel.mounts[0] ?? {}, { options: 'rw,nosuid' })
    const detailOf = async (spec: typeof jail) =>
      (await trial.host.proveIsolation(spec, signal)).checks.find(({ name }) => name === 'privileges')
    expect(await detailOf(asked)).toEqual({
      name: 'privileges',
      ok: false,
      detail: 'setuid programs give no rights in it, as was asked for: / is mounted nosuid',
    })
    expect(await detailOf(jail)).toMatchObject({
      ok: true,
      detail: 'securelevel 2, nothing allowed beyond the default; setuid programs give no rights',
    })
  })

  test('fails every check that could not be looked at, and no other', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    trial.fail('ps', '', { exitCode: 2, stderr: 'ps: kvm_open: no\n' })
    trial.fail('rctl', '', { stderr: 'rctl: no\n' })
    expect(await faultsOf(trial, jail)).toEqual(['processes', 'limits'])
  })

  test('fails privileges where jls does not say what the jail is allowed', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    const jid = await provision(trial, jail)
    const { stdout } = await trial.run('jls', ['--libxo', 'json', '-j', `${jid}`, 'all'])
    trial.fail('jls', 'all', { exitCode: 0, stdout: stdout.replace(/,"allow\.[a-z0-9_.]+":"[a-z]+"/g, '') })
    expect(await faultsOf(trial, jail)).toEqual(['privileges'])
  })

  test('enters no jail', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    trial.commands.length = 0
    await trial.host.proveIsolation(jail, signal)
    expect([...new Set(trial.commands.map(([program]) => program))].sort()).toEqual(['ifconfig', 'jls', 'mount', 'ps', 'rctl'])
    expect(trial.commands.filter((argv) => argv[0] === 'ifconfig')).toEqual([['ifconfig', '-a']])
  })
})
