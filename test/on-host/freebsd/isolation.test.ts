import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { onBehalfOf } from '../../../worker/host/programs/run-command.ts'
import { whyNoFreebsdJails } from '../../support/hosts/host-fitness.ts'
import { provision, removeAll } from '../../support/hosts/trial-host.ts'
import { must, output } from '../../support/real-freebsd/ask-host.ts'
import { type FreebsdTrial, freebsdTrial } from '../../support/real-freebsd/trial.ts'

const whyNot = whyNoFreebsdJails()

const { signal } = new AbortController()

/** Breaks a running jail from outside; what it leaves on the host beside the jail is undone by what it returns. */
type Break = (trial: FreebsdTrial, jail: JailSpec) => (() => void) | undefined

const changed =
  (...parameters: string[]): Break =>
  (_, { name }) =>
    void must('jail', '-m', `name=${name}`, ...parameters)

function mounted(type: string, at: string, ...args: string[]): Break {
  return ({ layout }, { name }) => {
    const point = join(layout.jail(name).root, at)
    must('mount', '-t', type, ...args, point)
    return () => must('umount', point)
  }
}

const broken: [check: string, how: string, damage: Break][] = [
  ['hostname', 'another host name', changed('host.hostname=elsewhere')],
  ['root', 'a directory of the host', mounted('nullfs', 'mnt', tmpdir())],
  ['root', 'a second /dev', mounted('devfs', 'dev', 'devfs')],
  ['root', 'a file system in memory', mounted('tmpfs', 'tmp', 'tmpfs')],
  ['devices', 'another ruleset', changed('devfs_ruleset=1')],
  [
    'devices',
    'the memory of the host',
    ({ layout }, { name }) =>
      void must('devfs', '-m', join(layout.jail(name).root, 'dev'), 'rule', 'apply', 'path', 'mem', 'unhide'),
  ],
  ['devices', 'no /dev', ({ layout }, { name }) => void must('umount', join(layout.jail(name).root, 'dev'))],
  ['privileges', 'raw sockets', changed('allow.raw_sockets')],
  ['privileges', 'the right to mount', changed('allow.mount')],
  ['privileges', 'the right to rename itself', changed('allow.set_hostname')],
  ['privileges', "a look at others' mounts", changed('enforce_statfs=1')],
  ['privileges', 'room for jails of its own', changed('children.max=3')],
  ['privileges', "the host's shared memory", changed('sysvshm=inherit')],
  ['limits', 'one rule more', (_, { name }) => void must('rctl', '-a', `jail:${name}:maxproc:deny=5000`)],
  ['limits', 'no rules', (_, { name }) => void must('rctl', '-r', `jail:${name}`)],
]

const brokenShared: typeof broken = [
  [
    'addresses',
    'one address more',
    (trial, jail) => changed(`ip4.addr=${jail.addresses[0]?.split('/')[0]},10.213.${trial.third}.99`)(trial, jail),
  ],
  ['addresses', 'no address of IPv6', changed('ip6.addr=')],
  [
    'addresses',
    'an address that is on no interface',
    ({ link }, { addresses }) => void must('ifconfig', link, 'inet', addresses[0]?.split('/')[0] ?? '', '-alias'),
  ],
]

const brokenVnet: typeof broken = [
  [
    'addresses',
    'one address more',
    ({ layout }, { name }) => void must('ifconfig', '-j', name, layout.jail(name).jailEnd, 'inet', '10.213.255.9/24', 'alias'),
  ],
  [
    'addresses',
    'a link that leads nowhere',
    ({ layout, link }, { name }) => void must('ifconfig', link, 'deletem', layout.jail(name).hostEnd),
  ],
  [
    'addresses',
    'an interface of the host',
    (_, { name }) => {
      const made = must('ifconfig', 'epair', 'create').trim()
      must('ifconfig', made, 'vnet', name)
      return () => {
        output('ifconfig', made, '-vnet', name)
        must('ifconfig', made, 'destroy')
      }
    },
  ],
]

for (const { storage, mode, breaks } of [
  { storage: 'zfs', mode: 'vnet', breaks: [...broken, ...brokenVnet] },
  { storage: 'ufs', mode: 'shared', breaks: brokenShared },
] as const) {
  describe.skipIf(whyNot)(`isolation on FreeBSD, ${storage}, ${mode}`, () => {
    let trial: FreebsdTrial
    let jail: JailSpec
    let mend: (() => void) | undefined
    beforeAll(async () => {
      trial = await freebsdTrial({ storage, mode })
    })
    afterEach(async () => {
      mend?.()
      mend = undefined
      await removeAll(trial.host, jail)
    })
    afterAll(() => trial.close())
    const failing = async () =>
      (await trial.host.proveIsolation(jail, signal)).checks.filter(({ ok }) => !ok).map(({ name }) => name)

    it.each(breaks)('fails %s, and nothing else, for a jail that got %s', async (check, _, damage) => {
      jail = trial.jail()
      await provision(trial.host, jail)
      expect(await failing()).toEqual([])
      mend = damage(trial, jail)
      expect(await failing()).toEqual([check])
    })

    it("runs no program of the jail's world, and no shell", async () => {
      jail = trial.jail()
      await provision(trial.host, jail)
      const commands: string[] = []
      await onBehalfOf(
        'test',
        ({ command }) => commands.push(command.split(' ')[0] ?? ''),
        () => trial.host.proveIsolation(jail, signal),
      )
      const known = ['ifconfig', 'jls', 'mount', 'ps', 'rctl', 'zfs']
      expect(commands.filter((program) => !known.includes(program))).toEqual([])
    })
  })
}
