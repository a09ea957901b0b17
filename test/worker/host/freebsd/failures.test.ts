import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { limitRules } from '../../../../worker/host/freebsd/limits/limits.ts'
import { runBootService } from '../../../support/hosts/run-boot-service.ts'
import type { TrialFreebsd } from '../../../support/hosts/trial-freebsd.ts'
import { destroy, faultsOf, provision, reboot, signal, stop, takeCommands, test } from './host-test.ts'

const never = Number.POSITIVE_INFINITY
const addressesOn = ({ kernel }: TrialFreebsd, name: string) =>
  kernel.links.find((link) => link.name === name)?.addresses.map(({ address }) => address)
const namesOf = ({ kernel }: TrialFreebsd) => [...kernel.jails.values()].map(({ name, jid }) => `${name} ${jid}`)

/** What operators have in their own /etc/jail.conf, outside of all blocks or in one for all. */
const operatorsFiles = {
  allowances: 'allow.raw_sockets; allow.sysvipc; allow.mount; mount.devfs; mine { persist; }\n',
  'commands of the host':
    'exec.prestart = "/bin/touch /tmp/x"; exec.clean; mount.fstab = "/etc/fstab.$name"; mine { persist; }\n',
  'an interface and addresses': 'interface = "em0"; ip4.addr += "10.9.9.9"; mine { persist; }\n',
  'a release': 'osrelease = "13.0-RELEASE"; osreldate = 1300000; mine { persist; }\n',
  'a variable with the name of a parameter': '$path = "/usr/jails/$name"; path = "$path"; mine { persist; }\n',
  'a block for all': '* { allow.raw_sockets; }\nmine { persist; }\n',
  'a fault': 'mine { persist }\n',
}

describe('a start that fails', () => {
  test('says what /etc/rc printed, and leaves nothing once it is undone', async ({ open }) => {
    const inJail = () => ({ exitCode: 3, console: 'Starting sshd.\nno host keys\n' })
    const trial = await open({ mode: 'vnet', inJail })
    const before = structuredClone({ links: trial.kernel.links, mounts: trial.kernel.mounts })
    const jail = trial.jail()
    await expect(provision(trial, jail)).rejects.toMatchObject({
      code: 'command_failed',
      message: '/bin/sh /etc/rc failed: no host keys',
      facts: { command: '/bin/sh /etc/rc', exitCode: 1, logTail: 'Starting sshd.\nno host keys\n' },
    })
    expect(existsSync(trial.layout.jail('j1').boot)).toBe(false)
    // jail(8) does not run what would have removed the epair.
    expect(trial.kernel.links.map(({ name }) => name)).toContain(trial.layout.jail('j1').hostEnd)
    await stop(trial, jail)
    expect({ links: trial.kernel.links, mounts: trial.kernel.mounts }).toEqual(before)
    expect(trial.kernel.rules).toEqual([])
  })

  test('keeps what jail(8) said where it is not about /etc/rc', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    trial.fail('ifconfig', 'em0 inet6', { stderr: 'ifconfig: ioctl (SIOCAIFADDR): No buffer space available\n' })
    await expect(provision(trial, jail)).rejects.toMatchObject({
      code: 'command_failed',
      message: expect.stringContaining('jail: j1: /sbin/ifconfig em0 inet6 fd00:1::11/64 alias: failed'),
    })
    expect(addressesOn(trial, 'em0')).toEqual([])
  })

  test('for want of a password database is said to be that', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await trial.host.ensureRoot(jail, signal)
    rmSync(join(trial.layout.jail('j1').root, 'etc/pwd.db'))
    await expect(provision(trial, jail)).rejects.toMatchObject({
      code: 'world_invalid',
      message: 'The root of j1 has no password database.',
      hint: expect.stringContaining('pwd_mkdb'),
    })
    expect(namesOf(trial)).toEqual([])
  })

  test('is not taken for a start when the jail is gone again', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    trial.fail('jail', '-c', { exitCode: 0, stdout: 'j1: created\n' })
    await expect(provision(trial, jail)).rejects.toMatchObject({ message: 'Jail j1 was created and is gone again.' })
    expect(existsSync(trial.layout.jail('j1').boot)).toBe(false)
  })

  test('hangs no longer than jail(8) itself, and says that it timed out', async ({ open }) => {
    const trial = await open({ inJail: () => ({ exitCode: undefined, console: 'Waiting for the network.\n' }) })
    await expect(provision(trial, trial.jail())).rejects.toMatchObject({
      code: 'command_failed',
      message: '/bin/sh /etc/rc timed out: Waiting for the network.',
    })
    expect(namesOf(trial)).toEqual([])
  })

  const unread: [string, object][] = [
    ['exits 1', { stderr: 'jail: jail.conf line 2: persist: syntax error\n' }],
    [
      'says something on standard error',
      { exitCode: 0, stdout: 'name=j1|persist\n', stderr: 'jail: j1: path: variable "x" not found\n' },
    ],
    ['prints no jail', { exitCode: 0, stdout: '' }],
    ['prints another jail', { exitCode: 0, stdout: 'name=j10|persist\n' }],
  ]
  test.for(unread)('does not use a file of which jail -e %s', async ([, answer], { open }) => {
    const trial = await open()
    const jail = trial.jail()
    trial.fail('jail', '-e', answer)
    await expect(provision(trial, jail)).rejects.toThrow()
    const { conf, boot } = trial.layout.jail('j1')
    expect([conf, boot].filter((path) => existsSync(path))).toEqual([])
    expect(trial.commands.filter(([program, flag]) => program === 'jail' && flag === '-c')).toEqual([])
    await destroy(trial, jail)
  })

  test('is refused by name where another jail of this host has it, which is left alone', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    const conf = join(trial.directory, 'other.conf')
    writeFileSync(conf, `j1 { path="${trial.directory}"; persist; }`)
    await trial.run('jail', ['-c', '-f', conf, 'j1'])
    await expect(provision(trial, jail)).rejects.toMatchObject({ code: 'name_taken' })
    expect(await trial.host.findJail(jail)).toBeUndefined()
    trial.kernel.rules.push('jail:j1:maxproc:deny=7')
    await destroy(trial, jail)
    expect(namesOf(trial)).toEqual(['j1 1'])
    expect(trial.kernel.rules).toEqual(['jail:j1:maxproc:deny=7'])
  })
})

test('a start ends with jail(8), whatever keeps the outputs of that open', async ({ open }) => {
  const trial = await open({ served: true })
  trial.hold('jail', /^-c /)
  const started = performance.now()
  expect(await provision(trial, trial.jail())).toBe(1)
  expect(performance.now() - started).toBeLessThan(8_000)
  // Throws where there is no such process any more.
  process.kill(Number(readFileSync(join(trial.directory, 'bin/socket.held'), 'utf8')), 'SIGKILL')
})

describe('addresses', () => {
  test('of the host itself are refused, and never taken off it', async ({ open }) => {
    const trial = await open()
    trial.kernel.links[0]?.addresses.push({ family: 'inet', address: '10.0.0.11', prefix: 24 })
    const jail = trial.jail()
    await expect(provision(trial, jail)).rejects.toMatchObject({
      code: 'address_taken',
      message: '10.0.0.11 is on em0 of this host already.',
    })
    await destroy(trial, jail)
    expect(addressesOn(trial, 'em0')).toEqual(['10.0.0.11'])
  })

  test('are recognized in any form', async ({ open }) => {
    const trial = await open()
    trial.kernel.links[1]?.addresses.push({ family: 'inet6', address: 'fd00:1:0:0::11', prefix: 128 })
    await expect(provision(trial, trial.jail())).rejects.toMatchObject({ code: 'address_taken' })
  })

  test('that a killed worker left are known to be ours', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await trial.host.ensureNetwork(jail, signal)
    await trial.run('ifconfig', ['em0', 'inet', '10.0.0.11/24', 'alias'])
    await trial.host.ensureNetwork(jail, signal)
    expect(addressesOn(trial, 'em0')).toEqual([])
    await trial.run('ifconfig', ['em0', 'inet', '10.0.0.11/24', 'alias'])
    await destroy(trial, jail)
    expect(addressesOn(trial, 'em0')).toEqual([])
  })

  test('edited in the file while the jail ran take none off the host', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    trial.kernel.links[0]?.addresses.push({ family: 'inet', address: '10.0.0.99', prefix: 24 })
    const { conf } = trial.layout.jail('j1')
    writeFileSync(conf, readFileSync(conf, 'utf8').replace('10.0.0.11', '10.0.0.99'))
    await stop(trial, jail)
    expect(addressesOn(trial, 'em0')).toEqual(['10.0.0.99'])
    expect(namesOf(trial)).toEqual([])
    expect(trial.kernel.mounts.map(({ point }) => point)).toEqual(['/', '/dev'])
  })

  test('lie on an epair by the number that is free, when another has the first one', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    await trial.run('ifconfig', ['epair', 'create'])
    const jail = trial.jail()
    await provision(trial, jail)
    expect(await faultsOf(trial, jail)).toEqual([])
    await destroy(trial, jail)
    expect(trial.kernel.links.map(({ name }) => name)).toEqual(['em0', 'lo0', 'bridge7', 'epair0a', 'epair0b'])
  })

  test('of two jails started together lie on an epair each', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jails = [trial.jail(), trial.jail(), trial.jail()]
    await Promise.all(jails.map((jail) => provision(trial, jail)))
    for (const jail of jails) expect(await faultsOf(trial, jail)).toEqual([])
    await Promise.all(jails.map((jail) => destroy(trial, jail)))
    expect(trial.kernel.links.map(({ name }) => name)).toEqual(['em0', 'lo0', 'bridge7'])
  })
})

describe('a stop', () => {
  const refusals: [string, (trial: TrialFreebsd) => void][] = [
    ['the file is broken', ({ layout }) => writeFileSync(layout.jail('j1').conf, 'j1 { path = }')],
    ['exec.stop fails', ({ fail }) => fail('jail', '-r', { stderr: 'jail: j1: /bin/sh /etc/rc.shutdown jail: failed\n' })],
    ['exec.stop hangs', ({ hang }) => hang('jail', '-r')],
  ]
  test.for(refusals)('ends the jail by its number and undoes the rest itself when %s', async ([, refuse], { open }) => {
    const trial = await open()
    const jail = trial.jail()
    const jid = await provision(trial, jail)
    refuse(trial)
    takeCommands(trial, jail)
    await stop(trial, jail)
    expect(namesOf(trial)).toEqual([])
    expect(trial.kernel.mounts.map(({ point }) => point)).toEqual(['/', '/dev'])
    expect(addressesOn(trial, 'em0')).toEqual([])
    expect(takeCommands(trial, jail)).toEqual(
      expect.arrayContaining([
        `jail -R ${jid}`,
        'umount ROOT/roots/j1/tree/dev',
        'ifconfig em0 inet 10.0.0.11 -alias',
        'ifconfig em0 inet6 fd00:1::11 -alias',
      ]),
    )
    trial.heal()
    await provision(trial, jail)
  })

  test('unmounts what jail(8) could not, which it never tries again', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    trial.fail('umount', '/dev', { stderr: 'umount: unmount of /dev failed: Device busy\n' }, 1)
    await stop(trial, jail)
    expect(trial.kernel.mounts.map(({ point }) => point)).toEqual(['/', '/dev'])
  })

  test('may be repeated while a mount stays in use, and keeps the root from being removed', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    const dev = join(trial.layout.jail('j1').root, 'dev')
    trial.kernel.busyMounts.add(dev)
    await expect(destroy(trial, jail)).rejects.toMatchObject({
      code: 'resource_busy',
      retryable: true,
      message: `Still mounted: ${dev}.`,
    })
    await expect(trial.host.removeRoot(jail, signal)).rejects.toMatchObject({ code: 'resource_busy' })
    trial.kernel.busyMounts.clear()
    await destroy(trial, jail)
    expect(existsSync(trial.layout.jail('j1').parent)).toBe(false)
  })

  test('waits for the dying jail by its old number', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail()
    trial.kernel.dyingFor = 4
    const jid = await provision(trial, jail)
    await destroy(trial, jail)
    const looks = takeCommands(trial, jail).filter((line) => line === `jls -d -j ${jid} jid`)
    expect(looks.length).toBeGreaterThan(1)
    expect(trial.kernel.links.map(({ name }) => name)).toEqual(['em0', 'lo0', 'bridge7'])
  })

  test('says that the jail is still dying, and goes on when it is tried again', async ({ open }) => {
    const trial = await open({ storage: 'zfs' })
    const jail = trial.jail()
    trial.kernel.dyingFor = never
    const jid = await provision(trial, jail)
    await expect(stop(trial, jail)).rejects.toMatchObject({
      code: 'resource_busy',
      retryable: true,
      message: `Jail j1 was removed, but its number ${jid} is still dying.`,
    })
    await expect(trial.host.removeRoot(jail, signal)).rejects.toMatchObject({ code: 'resource_busy' })
    for (const each of trial.kernel.jails.values()) each.dyingFor = 2
    await destroy(trial, jail)
    expect([...trial.kernel.datasets.keys()]).not.toContain('tank/provost/roots/j1')
  })

  test('ends no other jail that has taken the name meanwhile', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    const takeName = (args: string[]) => {
      const old = trial.kernel.jails.get(1)
      if (args[0] !== '-r' || !old) return false
      trial.kernel.jails.delete(1)
      trial.kernel.jails.set(9, { ...old, jid: 9, path: '/elsewhere', processes: new Set() })
      return true
    }
    trial.fail('jail', takeName, { stderr: 'jail: j1: something: failed\n' })
    await stop(trial, jail)
    expect(namesOf(trial)).toEqual(['j1 9'])
    await stop(trial, jail)
    expect(trial.kernel.rules).toEqual([])
  })
})

describe('a removal', () => {
  test('tries a busy dataset again, and never removes its files itself', async ({ open }) => {
    const trial = await open({ storage: 'zfs' })
    const jail = trial.jail()
    const dataset = 'tank/provost/roots/j1'
    await provision(trial, jail)
    await stop(trial, jail)
    trial.kernel.busyDatasets.set(dataset, never)
    await expect(trial.host.removeRoot(jail, signal)).rejects.toMatchObject({ code: 'resource_busy', retryable: true })
    expect(existsSync(join(trial.layout.jail('j1').root, 'etc'))).toBe(true)
    trial.kernel.busyDatasets.set(dataset, 3)
    takeCommands(trial, jail)
    await trial.host.removeRoot(jail, signal)
    const commands = takeCommands(trial, jail)
    expect(commands.filter((line) => line === `zfs destroy -r ${dataset}`).length).toBe(4)
    expect(commands.filter((line) => /^(rm|chflags)/.test(line))).toEqual([])
  })

  test('takes the flags of files off that nobody may remove', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    await stop(trial, jail)
    const { removing } = trial.layout.jail('j1')
    for (const flag of ['schg', 'sappnd', 'sunlnk', 'uchg', 'uappnd', 'uunlnk'])
      trial.kernel.flags.set(join(removing, 'tree', `a file that is ${flag}`), flag)
    await trial.host.removeRoot(jail, signal)
    expect(existsSync(removing)).toBe(false)
  })

  test('touches no file while anything is mounted in the root', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    await stop(trial, jail)
    const point = join(trial.layout.jail('j1').root, 'data')
    trial.kernel.mounts.push({ device: '/home', point, fsType: 'nullfs' })
    trial.kernel.busyMounts.add(point)
    await expect(trial.host.removeRoot(jail, signal)).rejects.toMatchObject({ code: 'resource_busy' })
    expect(trial.commands.filter(([program]) => program === 'rm' || program === 'chflags')).toEqual([])
  })
})

describe('the link of a running jail', () => {
  test('is missed when somebody has destroyed it, taken it off the bridge or down', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail()
    await provision(trial, jail)
    const { hostEnd } = trial.layout.jail('j1')
    const bridge = trial.kernel.links.find(({ members }) => members.includes(hostEnd))?.name ?? ''
    const unlinked = async () => [...(await trial.host.unlinkedJails([jail]))]
    expect(await unlinked()).toEqual([])
    for (const [away, back] of [
      [
        [bridge, 'deletem', hostEnd],
        [bridge, 'addm', hostEnd],
      ],
      [
        [hostEnd, 'down'],
        [hostEnd, 'up'],
      ],
      [
        [bridge, 'down'],
        [bridge, 'up'],
      ],
    ] as const) {
      await trial.run('ifconfig', [...away])
      expect(await unlinked()).toEqual(['j1'])
      await trial.run('ifconfig', [...back])
      expect(await unlinked()).toEqual([])
    }
    await trial.run('ifconfig', [hostEnd, 'destroy'])
    expect(await unlinked()).toEqual(['j1'])
  })

  test('is missed when an address of it was taken off the interface that jails share', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    expect([...(await trial.host.unlinkedJails([jail]))]).toEqual([])
    const [address = ''] = jail.addresses
    const shared = trial.kernel.links.find(({ addresses }) => addresses.some((each) => address.startsWith(each.address)))
    await trial.run('ifconfig', [shared?.name ?? '', 'inet', address.split('/')[0] ?? '', '-alias'])
    expect([...(await trial.host.unlinkedJails([jail]))]).toEqual(['j1'])
  })
})

describe('a network that is gone', () => {
  test('is said with its remedy when the shared interface has vanished, and nothing is made', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await trial.host.ensureRoot(jail, signal)
    trial.kernel.links.splice(0, 1)
    await expect(trial.host.ensureNetwork(jail, signal)).rejects.toMatchObject({
      code: 'host_unfit',
      message: 'There is no interface em0 on this host any more.',
      hint: expect.stringContaining('network.interface'),
    })
    expect(existsSync(trial.layout.jail('j1').aliases)).toBe(false)
  })

  test('is said with its remedy when the bridge has lost a gateway, and no link is made', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail()
    await trial.host.ensureRoot(jail, signal)
    await trial.run('ifconfig', ['bridge7', 'inet6', 'fd00:1::1/64', '-alias'])
    await expect(trial.host.ensureNetwork(jail, signal)).rejects.toMatchObject({
      code: 'host_unfit',
      message: 'The bridge bridge7 has lost fd00:1::1, by which jails reach others.',
      hint: expect.stringContaining('Start the worker again'),
    })
    expect(trial.kernel.links.map(({ name }) => name)).toEqual(['em0', 'lo0', 'bridge7'])
  })
})

describe('IPv6 on the shared interface', () => {
  const shared = ({ kernel }: TrialFreebsd) => kernel.links[0]

  test('is usable before the first process, and the host goes on looking for duplicates of its own', async ({ open }) => {
    const seen: unknown[] = []
    const trial = await open({
      inJail: () => {
        seen.push(...(shared(trial)?.addresses ?? []))
        return {}
      },
    })
    const jail = trial.jail()
    await provision(trial, jail)
    expect(seen).toMatchObject([{ family: 'inet' }, { family: 'inet6', tentative: 0 }])
    await destroy(trial, jail)
    expect(shared(trial)).toMatchObject({ addresses: [] })
    expect(shared(trial)).not.toHaveProperty('noDad')
  })

  test('that another host of the network has keeps the jail from starting, and says so', async ({ open }) => {
    const trial = await open()
    trial.kernel.elsewhere.add('fd00:1::11')
    await expect(provision(trial, trial.jail())).rejects.toMatchObject({
      code: 'address_in_use',
      message: 'Another host on the network of em0 has fd00:1::11.',
    })
    expect(namesOf(trial)).toEqual([])
    expect(shared(trial)?.addresses).toEqual([])
  })
})

describe('limits', () => {
  test('replace those that an earlier jail of the name left', async ({ open }) => {
    const trial = await open()
    trial.kernel.rules.push('jail:j1:maxproc:deny=1', 'jail:j10:maxproc:deny=2')
    await provision(trial, trial.jail())
    expect(trial.kernel.rules).toEqual([
      'jail:j10:maxproc:deny=2',
      'jail:j1:memoryuse:sigkill=67108864',
      'jail:j1:maxproc:deny=50',
      'jail:j1:pcpu:deny=50',
    ])
  })

  test('are there before the jail is', async ({ open }) => {
    const trial = await open()
    let rules: string[] = []
    trial.fail(
      'jail',
      ([flag]) => {
        if (flag === '-c') rules = [...trial.kernel.rules]
        return false
      },
      {},
    )
    await provision(trial, trial.jail())
    expect(rules.length).toBe(3)
  })

  test('that cannot be enforced keep the worker from starting, with what to do', async ({ open }) => {
    const trial = await open()
    trial.kernel.sysctl.set('kern.racct.enable', '0')
    await expect(trial.runtime().open()).rejects.toMatchObject({
      code: 'host_unfit',
      message: expect.stringContaining('Put kern.racct.enable=1 into /boot/loader.conf, and reboot.'),
    })
  })

  test('that cannot be enforced keep a jail from starting', async ({ open }) => {
    const trial = await open()
    trial.kernel.sysctl.set('kern.racct.enable', '0')
    const jail = trial.jail()
    await expect(provision(trial, jail)).rejects.toMatchObject({
      code: 'host_unfit',
      message: expect.stringContaining('enable using kern.racct.enable=1 tunable'),
      hint: 'Put kern.racct.enable=1 into /boot/loader.conf, and reboot.',
    })
    expect(namesOf(trial)).toEqual([])
    await destroy(trial, jail)
    expect(existsSync(trial.layout.jail('j1').directory)).toBe(false)
  })

  test('that are not there when they are read back keep a jail from starting', async ({ open }) => {
    const trial = await open()
    trial.fail('rctl', '-a jail:j1:memoryuse', { exitCode: 0 })
    await expect(provision(trial, trial.jail())).rejects.toMatchObject({
      code: 'host_unfit',
      message: 'rctl(8) took the limits of j1, and has jail:j1:pcpu:deny=50, jail:j1:maxproc:deny=50 of them.',
    })
    expect(namesOf(trial)).toEqual([])
  })

  test('that cannot be set keep a jail from starting at boot', async ({ open }) => {
    const trial = await open()
    for (const jail of [trial.jail(), trial.jail()]) await provision(trial, jail)
    for (const { jid } of [...trial.kernel.jails.values()]) await trial.run('jail', ['-R', `${jid}`])
    trial.kernel.rules.splice(0)
    trial.fail('rctl', '-a jail:j1:memoryuse', { stderr: 'rctl: no\n' })
    const said = await runBootService(trial, 'start')
    expect(said).toContain('j1 could not be started: its limits cannot be set: rctl: no')
    expect(namesOf(trial)).toEqual(['j2 3'])
    expect(trial.kernel.rules).toHaveLength(3)
  })
})

describe('the CPUs of a jail', () => {
  const cpusOfAll = ({ kernel }: TrialFreebsd) => [...kernel.jails.values()].map(({ cpus }) => cpus)

  test('are as many as its limit rounded up, and the same ones at every start', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail({ limits: { memory: 1, cpu: 1.2, processes: 1 } })
    await provision(trial, jail)
    const first = cpusOfAll(trial)
    expect(first[0]?.length).toBe(2)
    await stop(trial, jail)
    await provision(trial, jail)
    expect(cpusOfAll(trial)).toEqual(first)
  })

  test('are all of the host where its limit leaves none out', async ({ open }) => {
    const trial = await open()
    await provision(trial, trial.jail({ limits: { memory: 1, cpu: 3.5, processes: 1 } }))
    expect(cpusOfAll(trial)).toEqual([undefined])
    expect(trial.commands.filter(([program]) => program === 'cpuset')).toEqual([])
  })

  test('are its own again before it is believed, when it came back at boot', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    const [before] = cpusOfAll(trial)
    const running = trial.kernel.jails.get(1)
    delete running?.cpus
    await provision({ host: trial.runtime() }, jail)
    expect(cpusOfAll(trial)).toEqual([before])
  })

  test('that cannot be given keep the jail from being believed', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    trial.fail('cpuset', '', { stderr: 'cpuset: setaffinity: Resource deadlock avoided\n' }, 1)
    await expect(provision(trial, jail)).rejects.toMatchObject({
      code: 'command_failed',
      message: expect.stringContaining('Resource deadlock avoided'),
    })
    expect(existsSync(trial.layout.jail('j1').boot)).toBe(false)
    // The next try takes it down and starts it anew.
    expect(await provision(trial, jail)).toBe(2)
  })
})

describe('after a reboot', () => {
  test('a jail that is meant to run comes back as it was, without its worker', async ({ open }) => {
    const trial = await open()
    const [running, stopped] = [trial.jail(), trial.jail()]
    await provision(trial, running)
    await provision(trial, stopped)
    await stop(trial, stopped)
    reboot(trial)
    expect(await runBootService(trial, 'start')).toBe('Starting jails of Provost: j1.\n')
    expect(trial.kernel.rules).toEqual(limitRules(trial, running))

    trial.commands.length = 0
    expect(await provision({ host: trial.runtime() }, running)).toBe(1)
    expect(trial.commands.filter(([program, flag]) => program === 'jail' && flag !== '-f')).toEqual([])
    expect(await faultsOf(trial, running)).toEqual([])
  })

  test('a jail with a network of its own comes back too, with a new epair', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail()
    await provision(trial, jail)
    reboot(trial)
    // rc.conf(5) makes the bridge.
    await trial.runtime().open()
    await runBootService(trial, 'start')
    trial.commands.length = 0
    expect(await provision({ host: trial.runtime() }, jail)).toBe(1)
    expect(trial.commands.filter(([program, flag]) => program === 'jail' && flag !== '-f')).toEqual([])
    expect(await faultsOf(trial, jail)).toEqual([])
    await destroy(trial, jail)
    expect(trial.kernel.links.map(({ name }) => name)).toEqual(['em0', 'lo0', 'bridge7'])
  })

  test('a link to it that a dying jail still has, or that is not whole, is made anew without a worker', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail()
    await provision(trial, jail)
    const { conf, hostEnd } = trial.layout.jail('j1')
    const restart = async () => {
      await trial.run('jail', ['-r', '-f', conf, 'j1'])
      await trial.run('jail', ['-c', '-f', conf, 'j1'])
      expect(await faultsOf(trial, jail)).toEqual([])
    }
    trial.kernel.dyingFor = never
    await restart()
    trial.kernel.dyingFor = 0
    for (const link of trial.kernel.links) link.members = []
    await restart()
    expect(trial.kernel.links.filter(({ name }) => name === hostEnd).length).toBe(1)
    expect(trial.kernel.links.filter(({ kind }) => kind === 'epair').length).toBe(2)
  })

  test('a jail that the boot missed is started, and its command again', async ({ open }) => {
    const trial = await open({ mode: 'vnet', inJail: () => ({ exitCode: undefined }) })
    const jail = trial.jail({ command: ['/bin/httpd'] })
    await provision(trial, jail)
    reboot(trial)
    const host = trial.runtime()
    await host.open()
    await provision({ host }, jail)
    await provision({ host }, jail)
    expect(await faultsOf({ host }, jail)).toEqual([])
    expect(trial.commands.filter(([program]) => program === 'daemon').length).toBe(2)
  })

  test('a jail has its limits at the next one too, whatever became of their file', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    const path = trial.layout.jail('j1').bootLimits
    const before = readFileSync(path, 'utf8')
    rmSync(path)
    await provision({ host: trial.runtime() }, jail)
    expect(readFileSync(path, 'utf8')).toBe(before)
  })

  test.for(Object.entries(operatorsFiles))(
    'jails are as they were asked for, whatever jail.conf says: %s',
    async ([, text], { open }) => {
      const trial = await open()
      const jail = trial.jail()
      await provision(trial, jail)
      writeFileSync(join(trial.etc, 'jail.conf'), text)
      trial.kernel.rcConf.set('jail_list', 'mine')
      reboot(trial)
      await runBootService(trial, 'start')
      expect(namesOf(trial)).toEqual(['j1 1'])
      expect(await faultsOf(trial, jail)).toEqual([])
      expect(Object.keys(Object.fromEntries(trial.kernel.rcConf))).not.toContain('jail_enable')
    },
  )

  test('the service leaves what runs and what has the name of ours, and says what it cannot start', async ({ open }) => {
    const trial = await open()
    const [first, second] = [trial.jail(), trial.jail()]
    for (const jail of [first, second]) await provision(trial, jail)
    expect(await runBootService(trial, 'start')).toBe('Starting jails of Provost:.\n')
    const running = [...trial.kernel.jails.values()].find(({ name }) => name === 'j1')
    Object.assign(running ?? {}, { path: '/elsewhere' })
    expect(await runBootService(trial, 'stop')).toBe('Stopping jails of Provost: j2.\n')
    expect(namesOf(trial)).toEqual(['j1 1'])
    writeFileSync(trial.layout.jail('j2').boot, 'j2 { path = }')
    expect(await runBootService(trial, 'start')).toContain(' j2 could not be started: jail: ')
  })

  test('what an older worker put into jail.conf and rctl.conf is removed, and nothing else', async ({ open }) => {
    const trial = await open()
    const { boot, tag } = trial.layout
    const [jailConf, rctlConf] = ['jail.conf', 'rctl.conf'].map((name) => join(trial.etc, name)) as [string, string]
    const lines = `# The jails that Provost brings back at boot.\n.include "${boot}/*.conf";\n`
    const rules = `# BEGIN provost ${tag}\njail:j1:maxproc:deny=50\n# END provost ${tag}\n`
    writeFileSync(jailConf, `mine { persist; }\n${lines}other { persist; }\n`)
    writeFileSync(rctlConf, `user:joe:maxproc:deny=7\n${rules}# the end\n`)
    await trial.runtime().open()
    expect(readFileSync(jailConf, 'utf8')).toBe('mine { persist; }\nother { persist; }\n')
    expect(readFileSync(rctlConf, 'utf8')).toBe('user:joe:maxproc:deny=7\n# the end\n')
    writeFileSync(jailConf, lines)
    writeFileSync(rctlConf, rules)
    await trial.runtime().open()
    expect([jailConf, rctlConf].filter((path) => existsSync(path))).toEqual([])
  })

  test('a jail.conf that is a link to a file elsewhere stays one', async ({ open }) => {
    const trial = await open()
    const [link, file] = [join(trial.etc, 'jail.conf'), join(trial.directory, 'mine.conf')]
    writeFileSync(file, `mine { persist; }\n.include "${trial.layout.boot}/*.conf";\n`)
    symlinkSync(file, link)
    await trial.runtime().open()
    expect(readlinkSync(link)).toBe(file)
    expect(readFileSync(file, 'utf8')).toBe('mine { persist; }\n')
  })

  test('the bridge of a host is mended, and no interface of the host put on it', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const bridge = trial.kernel.links.find(({ name }) => name === 'bridge7')
    Object.assign(bridge ?? {}, { addresses: [], up: false })
    await trial.runtime().open()
    expect(addressesOn(trial, 'bridge7')).toEqual(['10.0.0.1', 'fd00:1::1'])
    expect(bridge).toMatchObject({ up: true, members: [] })
  })
})

test('a root whose dataset is not mounted is no empty host', async ({ open }) => {
  const trial = await open({ storage: 'zfs' })
  Object.assign(trial.kernel.datasets.get('tank/provost') ?? {}, { mounted: false })
  await expect(trial.runtime().open()).rejects.toMatchObject({
    code: 'host_unfit',
    message: 'The dataset tank/provost is not mounted anywhere.',
  })
})

test('a world is read from no half-filled dataset', async ({ open }) => {
  const trial = await open({ storage: 'zfs' })
  const stage = await trial.host.stageWorld({ name: 'other', digest: 'b2'.repeat(32) })
  mkdirSync(join(stage, 'etc'))
  const jail = trial.jail({ world: 'other', worldDigest: 'b2'.repeat(32) })
  await expect(trial.host.ensureRoot(jail, signal)).rejects.toMatchObject({ code: 'not_built' })
})

describe('a pool without room for another directory', () => {
  test('fails a provision as a full disk, and leaves no dataset once it is undone', async ({ open }) => {
    const trial = await open({ storage: 'zfs' })
    const jail = trial.jail()
    const before = [...trial.kernel.datasets.keys()]
    trial.kernel.poolFull = true
    await expect(provision(trial, jail)).rejects.toMatchObject({
      code: 'disk_full',
      message: expect.stringContaining('failed to create mountpoint: No space left on device'),
    })
    await destroy(trial, jail)
    expect([...trial.kernel.datasets.keys()]).toEqual(before)
    trial.kernel.poolFull = false
    await provision(trial, jail)
  })

  test.for(['create', 'rename'] as const)(
    'fails a fill as a full disk at zfs %s, and the next one fills it',
    async (verb, { open }) => {
      const trial = await open({ storage: 'zfs' })
      const world = { name: 'second', digest: 'b2'.repeat(32) }
      const fill = async (fullFrom?: 'create' | 'rename') => {
        trial.kernel.poolFull = fullFrom === 'create'
        await trial.host.stageWorld(world)
        trial.kernel.poolFull = fullFrom === 'rename'
        await trial.host.commitWorld(world)
      }
      await expect(fill(verb)).rejects.toMatchObject({ code: 'disk_full' })
      await fill()
      expect((await trial.host.listWorlds()).map(({ name }) => name).sort()).toEqual(['second', 'tiny'])
    },
  )
})
