import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JailSpec } from '#shared/job.ts'
import { World } from '../../worker/config/world.ts'
import { layoutOf } from '../../worker/host/freebsd/layout.ts'
import type { RunCommand } from '../../worker/host/programs/run-command.ts'
import { fillDirectory } from '../../worker/worlds/fill-directory.ts'
import type { Settings, TrialFreebsd } from '../support/hosts/trial-freebsd.ts'
import { kernel, makeWorld, scriptedPrograms } from '../support/programs/scripted-programs.ts'
import { destroy, provision, signal, stop } from '../worker/host/freebsd/host-test.ts'

type Open = (settings?: Settings) => Promise<TrialFreebsd>
/** What a host runs, line by line, with the names that the page uses. */
export type Scene = (open: Open) => Promise<string[]>

const v4 = '10.0.0.10/24'
const v6 = 'fd00:1::10/64'
const digest = 'a1'.repeat(32)

/** By the name of its block in docs/freebsd.md. */
export const scenes: Record<string, Scene> = {
  'check-shared-ufs': async (open) => (await enrolment(open, {})).looks,
  'check-vnet-zfs': async (open) => (await enrolment(open, { storage: 'zfs', mode: 'vnet' })).looks,
  'enrol-shared-ufs': async (open) => (await enrolment(open, {})).changes,
  'enrol-vnet-zfs': async (open) => (await enrolment(open, { storage: 'zfs', mode: 'vnet' })).changes,

  'provision-shared-v4-ufs': (open) => life(open, {}, { addresses: [v4] }, provision),
  'provision-shared-v4-v6-zfs': (open) => life(open, { storage: 'zfs' }, { addresses: [v4, v6], limits }, provision),
  'provision-vnet-zfs': (open) => life(open, { storage: 'zfs', mode: 'vnet' }, { addresses: [v4, v6], limits }, provision),
  'own-command': (open) =>
    life(open, { inJail: () => ({ exitCode: undefined }) }, { command: ['/usr/local/bin/redis-server'] }, startCommand),
  'prove-shared-zfs': (open) => life(open, { storage: 'zfs' }, {}, prove),
  'prove-vnet-zfs': (open) => life(open, { storage: 'zfs', mode: 'vnet' }, {}, prove),

  'failed-start-shared-ufs': (open) => life(open, { inJail: fails }, { addresses: [v4] }, failedStart),
  'failed-start-vnet-zfs': (open) => life(open, { storage: 'zfs', mode: 'vnet', inJail: fails }, {}, failedStart),
  'stop-shared': (open) => life(open, {}, { addresses: [v4] }, stopped),
  'stop-vnet': (open) => life(open, { storage: 'zfs', mode: 'vnet' }, {}, stopped),
  'stop-without-its-file': (open) => life(open, {}, { addresses: [v4] }, stoppedWithoutFile),
  'destroy-ufs': (open) => life(open, {}, {}, removed),
  'destroy-zfs': (open) => life(open, { storage: 'zfs' }, {}, removed),

  'conf-shared': (open) => conf(open, {}),
  'conf-vnet': (open) => conf(open, { mode: 'vnet' }),

  'world-source': (open) =>
    filled(open, 'zfs', { name: 'freebsd-src', method: 'source', path: '/usr/src', buildworld: true, jobs: 8 }),
  'world-archive': (open) =>
    filled(open, 'zfs', { name: 'freebsd-14.4', method: 'archive', release: '14.4', path: '/media/base.txz' }),
  'world-pkgbase': (open) => filled(open, 'zfs', { name: 'freebsd-15.0', method: 'pkgbase', release: '15.0' }),
  'world-tree': (open) => filled(open, 'zfs', { name: 'golden', method: 'tree', path: '/srv/golden' }),
  'remove-world-ufs': (open) => life(open, {}, {}, removeWorld),
  'remove-world-zfs': (open) => life(open, { storage: 'zfs' }, {}, removeWorld),
  'look-for-drift-zfs': (open) => life(open, { storage: 'zfs' }, {}, lookForDrift),
  'world-tree-ufs': (open) => filled(open, 'ufs', { name: 'golden', method: 'tree', path: '/srv/golden' }),
}

const limits = { memory: 512 * 1024 ** 2, cpu: 2, processes: 200, disk: 10 * 1024 ** 3 }
const fails = () => ({ exitCode: 1, console: 'no host keys\n' })

/** First it only looks, at everything at once. */
async function enrolment(open: Open, settings: Settings): Promise<{ looks: string[]; changes: string[] }> {
  const trial = await open(settings)
  const lines = linesOf(trial, trial.enrolment)
  const first = lines.findIndex((line) => /^(zfs create|sysrc )/.test(line))
  return { looks: lines.slice(0, first), changes: lines.slice(first) }
}

type Deed = (trial: TrialFreebsd, jail: JailSpec) => Promise<unknown>

async function life(open: Open, settings: Settings, overrides: Partial<JailSpec>, deed: Deed): Promise<string[]> {
  const trial = await open(settings)
  await deed(trial, jailOf(trial, overrides))
  return linesOf(trial, trial.commands)
}

function jailOf({ jail }: TrialFreebsd, overrides: Partial<JailSpec>): JailSpec {
  return jail({ name: 'web1', hostname: 'web1.example.com', addresses: [v4, v6], ...overrides })
}

const startCommand: Deed = async (trial, jail) => {
  await trial.host.ensureRoot(jail, signal)
  writeCommand(trial, jail)
  await trial.host.ensureNetwork(jail, signal)
  await trial.host.ensureJail(jail, signal)
  trial.commands.length = 0
  await trial.host.startCommand(jail, signal)
}

function writeCommand({ layout }: TrialFreebsd, { name, command }: JailSpec): void {
  const path = join(layout.jail(name).root, command?.[0] ?? '')
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, '', { mode: 0o755 })
}

const prove: Deed = async (trial, jail) => {
  await provision(trial, jail)
  trial.commands.length = 0
  await trial.host.proveIsolation(jail, signal)
}

/** As a plan undoes it: the steps that had begun, the last first. */
const failedStart: Deed = async (trial, jail) => {
  await trial.host.ensureRoot(jail, signal)
  await trial.host.ensureNetwork(jail, signal)
  trial.commands.length = 0
  await trial.host.ensureJail(jail, signal).then(
    () => Promise.reject(new Error('It started.')),
    () => undefined,
  )
  await destroy(trial, jail)
}

const stopped: Deed = async (trial, jail) => {
  await provision(trial, jail)
  trial.commands.length = 0
  await stop(trial, jail)
}

const stoppedWithoutFile: Deed = async (trial, jail) => {
  await provision(trial, jail)
  writeFileSync(trial.layout.jail(jail.name).conf, 'web1 { path = }')
  trial.commands.length = 0
  await stop(trial, jail)
}

const removeWorld: Deed = ({ host }, { world: name, worldDigest }) => host.removeWorld({ name, digest: worldDigest })

const lookForDrift: Deed = async (trial, jail) => {
  await provision(trial, jail)
  trial.commands.length = 0
  await trial.host.listJails()
  await trial.host.unlinkedJails([jail])
  await trial.host.findJail(jail)
  await trial.host.hasRoot(jail)
}

const removed: Deed = async (trial, jail) => {
  await provision(trial, jail)
  await stop(trial, jail)
  trial.commands.length = 0
  await trial.host.removeRoot(jail, signal)
}

async function conf(open: Open, settings: Settings): Promise<string[]> {
  const trial = await open({ storage: 'zfs', ...settings })
  const jail = jailOf(trial, {})
  await provision(trial, jail)
  const [, ...lines] = readFileSync(trial.layout.jail('web1').conf, 'utf8').trimEnd().split('\n')
  return lines.map((line) => renamed(trial, line))
}

/** A fill as the store does it, with programs that only leave what the rest of it looks for. */
async function filled(open: Open, storage: 'zfs' | 'ufs', definition: Record<string, unknown>): Promise<string[]> {
  const trial = await open({ storage })
  const places = { path: join(trial.directory, 'source'), keys: join(trial.directory, 'keys') }
  const [path, keys] = [given(definition['path']), definition['method'] === 'pkgbase' ? places.keys : undefined]
  makeSources(places)
  const world = World.parse({
    ...definition,
    ...(path ? { path: join(places.path, path.endsWith('.txz') ? 'base.txz' : '') } : {}),
    ...(keys ? { keys } : {}),
  })
  const id = { name: world.name, digest }
  const { run, commands } = programs(trial)
  const tree = await trial.host.stageWorld(id)
  await fillDirectory({ world, directory: tree, platform: 'freebsd/x64', run, signal, progress: () => undefined })
  await trial.host.commitWorld(id)
  return linesOf(trial, commands).map((line) =>
    line.replaceAll(join(places.path, 'base.txz'), path ?? '').replaceAll(places.path, path ?? ''),
  )
}

const given = (value: unknown) => (typeof value === 'string' ? value : undefined)

function makeSources({ path, keys }: { path: string; keys: string }): void {
  for (const directory of [join(path, 'etc'), join(path, 'sys/conf'), join(keys, 'pkgbase-15')])
    mkdirSync(directory, { recursive: true })
  writeFileSync(join(path, 'Makefile'), '')
  writeFileSync(join(path, 'base.txz'), '')
  const sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
  writeFileSync(join(path, 'MANIFEST'), `base.txz\t${sha256}\t1\tbase\t"Base system"\ton\n`)
  writeFileSync(join(path, 'sys/conf/newvers.sh'), 'REVISION="14.4"\nBRANCH="RELEASE-p10"\n')
}

/** make(1), pkg(8) and tar(1) that make the one directory which is looked for; the rest is the host's own. */
function programs({ commands, run }: TrialFreebsd): { run: RunCommand; commands: string[][] } {
  const make = makeWorld()
  const after = (args: string[], flag: string) => args[args.indexOf(flag) + 1] ?? ''
  const scripted = scriptedPrograms({
    make: (args, ...rest) => {
      const root = args.find((arg) => arg.startsWith('DESTDIR='))?.slice('DESTDIR='.length)
      if (root) mkdirSync(join(root, 'etc'), { recursive: true })
      return make(args, ...rest)
    },
    pkg: (args) => void mkdirSync(join(after(args, '--rootdir'), 'etc'), { recursive: true }),
    tar: (args) => void (args[0] === '-x' && mkdirSync(join(after(args, '-C'), 'etc'), { recursive: true })),
    'freebsd-version': kernel('15.1-RELEASE-p4'),
  })
  const both: RunCommand = async (program, args, options) => {
    if (!['make', 'pkg', 'tar', 'freebsd-version'].includes(program)) return run(program, args, options)
    commands.push([program, ...args])
    return scripted.run(program, args, options)
  }
  return { run: both, commands }
}

/** Lines of two blanks in front are what jail(8), or a program of the host, starts itself. */
function linesOf(trial: TrialFreebsd, commands: string[][]): string[] {
  return commands.map((argv) => renamed(trial, `${trial.nested.has(argv) ? '  ' : ''}${argv.map(shown).join(' ')}`))
}

/** As it would be typed. */
const shown = (word: string) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word}'`)

/** With the names that a host has whose root is zroot/provost, or /provost. */
function renamed({ layout }: TrialFreebsd, line: string): string {
  const named = layoutOf(layout.dataset ? '/zroot/provost' : '/provost', layout.dataset && 'zroot/provost')
  const keys = ['mark', 'hostEnd', 'jailEnd', 'hostMac', 'jailMac'] as const
  const [mine, theirs] = [layout.jail('web1'), named.jail('web1')]
  const whole = line
    .replaceAll(layout.directory, named.directory)
    .replaceAll(layout.dataset ?? '\0', named.dataset ?? '')
    .replaceAll(/\btank\b/g, 'zroot')
    .replaceAll(/tiny-(a1)+/g, `freebsd-14.4-${digest.slice(0, 16)}`)
    .replaceAll(join(import.meta.dirname, '../../worker'), '/usr/local/libexec/provost/worker')
    .replaceAll(/\S*\/keys\b/g, '/usr/share/keys')
  return keys.reduce((text, key) => text.replaceAll(mine[key], theirs[key]), whole)
}
