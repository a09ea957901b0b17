import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { bareAddress } from '#shared/network/addresses.ts'
import type { HostRuntime } from '../../worker/host/host-runtime.ts'
import { attachNetwork } from '../../worker/plans/steps/attach-network.ts'
import type { WorldStore } from '../../worker/worlds/world-store.ts'
import { provision as provisionOn, removeAll } from '../support/hosts/trial-host.ts'
import { until } from '../support/until.ts'

/** A host to try a runtime on, and the places where the suite looks at what the runtime did. */
export type ContractHost = {
  host: HostRuntime
  jail(overrides?: Partial<JailSpec>): JailSpec
  /** Where a jail's root is mounted. */
  rootOf(jail: JailSpec): string
  /** What the jail's command printed. */
  consoleOf(jail: JailSpec): string
  /** How a failed /etc/rc is reported: jail(8) does not print its exit code. */
  rcFailure: { message: string; exitCode: number }
  /** Everything of this host that a jail could leave, to be compared. */
  snapshot(): unknown
  /** Ways in which a killed worker can leave a jail, besides those that the suite makes of the interface alone. */
  halfMade: Record<string, (jail: JailSpec) => Promise<unknown>>
  close(): Promise<void>
}

/** Files that the world of a `ContractHost` has. */
export const contractScripts = {
  'data/hello': 'echo started >> /data/starts\nexec sleep 100000\n',
  'data/stubborn': "trap '' TERM\necho ready > /data/ready\nwhile :; do sleep 1; done\n",
}

const { signal } = new AbortController()

/** What every runtime must do. `names` are those of its half-made states, which must be known before the host is. */
export function hostRuntimeContract(names: string[], open: () => Promise<ContractHost>): void {
  let trial: ContractHost
  let host: HostRuntime
  let empty: unknown

  beforeAll(async () => {
    trial = await open()
    host = trial.host
    empty = trial.snapshot()
  })
  afterAll(() => trial.close())

  const provision = (jail: JailSpec) => provisionOn(host, jail)
  const destroy = (jail: JailSpec) => removeAll(host, jail)
  const faultsOf = async (jail: JailSpec) => (await host.proveIsolation(jail, signal)).checks.filter(({ ok }) => !ok)

  it('locks a file for one opener only, until that closes it', async () => {
    const path = `${host.worldTree({ name: 'lock', digest: 'd4'.repeat(32) })}.lock`
    await mkdir(dirname(path), { recursive: true })
    const first = await host.lockFile(path)
    expect(first).toBeDefined()
    expect(await host.lockFile(path)).toBeUndefined()
    await first?.close()
    const second = await host.lockFile(path)
    expect(second).toBeDefined()
    await second?.close()
    await rm(dirname(path), { recursive: true })
  })

  it('knows a boot by one identity', async () => {
    expect(await host.bootId()).toMatch(/\S/)
    expect(await host.bootId()).toBe(await host.bootId())
  })

  describe('worlds', () => {
    const world = { name: 'other', digest: 'b2'.repeat(32) }
    afterEach(async () => {
      await host.discardStage(world)
      await host.removeWorld(world)
    })

    it('lists a world once it is committed, not while it is filled', async () => {
      const before = await host.listWorlds()
      await writeFile(join(await host.stageWorld(world), 'file'), 'content')
      expect(await host.listWorlds()).toEqual(before)
      await host.commitWorld({ ...world, fillMs: 1_500 })
      await host.commitWorld({ ...world, fillMs: 1_500 })
      expect(await host.listWorlds()).toEqual(expect.arrayContaining([...before, { ...world, fillMs: 1_500 }]))
      expect(await readFile(join(host.worldTree(world), 'file'), 'utf8')).toBe('content')
    })

    it('is not there once its directory is gone, and takes its place anew, also where a part of it is left', async () => {
      const tree = host.worldTree(world)
      const fill = async (text: string) => {
        await writeFile(join(await host.stageWorld(world), 'file'), text)
        await host.commitWorld(world)
      }
      expect(host.hasWorld(world)).toBe(false)
      await fill('first')
      expect(host.hasWorld(world)).toBe(true)
      await rm(join(dirname(tree), 'world.json'))
      expect(host.hasWorld(world)).toBe(false)
      await fill('second')
      expect(host.hasWorld(world)).toBe(true)
      expect(await readFile(join(tree, 'file'), 'utf8')).toBe('second')
    })

    it('stages an empty directory, whatever a killed fill left', async () => {
      await writeFile(join(await host.stageWorld(world), 'left'), '')
      expect(existsSync(join(await host.stageWorld(world), 'left'))).toBe(false)
    })

    it('discards stages, also when there is none', async () => {
      const stage = await host.stageWorld(world)
      await host.discardStages()
      await host.discardStages()
      await host.discardStage(world)
      expect(existsSync(stage)).toBe(false)
    })

    it('removes a world, also one that is not there, and fills it anew', async () => {
      const places = () => readdir(dirname(dirname(host.worldTree(world))))
      const [before, placesBefore] = [await host.listWorlds(), await places()]
      await host.removeWorld(world)
      await writeFile(join(await host.stageWorld(world), 'file'), 'content')
      await host.commitWorld(world)
      await host.removeWorld(world)
      await host.removeWorld(world)
      expect(await host.listWorlds()).toEqual(before)
      expect(await places()).toEqual(placesBefore)
      await host.stageWorld(world)
      await host.commitWorld(world)
      expect(existsSync(join(host.worldTree(world), 'file'))).toBe(false)
    })

    it('sets the id of a world aside that cannot be read, and fills that world anew; jails of it go on', async () => {
      const tiny = trial.jail()
      const mine = { name: tiny.world, digest: tiny.worldDigest }
      const jail = trial.jail({ command: ['/bin/sh', '/data/hello'] })
      const jid = await provision(jail)
      const file = join(dirname(host.worldTree(mine)), 'world.json')
      const before = await host.listWorlds()
      await writeFile(file, '{"name":"ti')
      const aside: string[] = []
      expect(await host.listWorlds((path) => void aside.push(path))).toEqual(before.filter(({ name }) => name !== mine.name))
      expect(aside).toEqual([expect.stringContaining(`${file}.unreadable-`)])
      expect(host.hasWorld(mine)).toBe(false)

      const stage = await host.stageWorld(mine)
      await cp(host.worldTree(mine), stage, { recursive: true, verbatimSymlinks: true }).catch(() => undefined)
      await host.commitWorld(mine)
      expect(host.hasWorld(mine)).toBe(true)
      expect((await host.listWorlds()).map(({ name }) => name)).toEqual(before.map(({ name }) => name))
      await host.discardStages()
      expect(await provision(jail)).toBe(jid)
      expect(await faultsOf(jail)).toEqual([])
      await host.removeJail(jail, signal)
      await host.mountRoot(jail, signal)
      await provision(jail)
      expect(await faultsOf(jail)).toEqual([])
      await destroy(jail)
      await host.discardStages()
      expect((await readdir(dirname(dirname(host.worldTree(mine))))).filter((name) => name.startsWith('.'))).toEqual([])
    })

    it('takes no jail with the world that it was made of, which may stay for it', async () => {
      const tiny = trial.jail()
      await cp(host.worldTree({ name: tiny.world, digest: tiny.worldDigest }), await host.stageWorld(world), {
        recursive: true,
        verbatimSymlinks: true,
      })
      await host.commitWorld(world)
      const jail = trial.jail({ world: world.name, worldDigest: world.digest, command: ['/bin/sh', '/data/hello'] })
      const jid = await provision(jail)
      const refusal = await host.removeWorld(world).then(
        () => undefined,
        (error) => error.code,
      )
      const isListed = (await host.listWorlds()).some(({ name }) => name === world.name)
      expect({ refusal, isListed }).toEqual(isListed ? { refusal: 'resource_busy', isListed } : { refusal: undefined, isListed })
      expect(await provision(jail)).toBe(jid)
      expect(await faultsOf(jail)).toEqual([])
      await destroy(jail)
      await host.removeWorld(world)
      expect(await host.listWorlds()).not.toContainEqual(world)
    })
  })

  describe('a jail', () => {
    let jail: JailSpec
    afterEach(() => destroy(jail))

    it('runs with its isolation proven, and leaves nothing', async () => {
      jail = trial.jail()
      expect(await host.findJail(jail)).toBeUndefined()
      const jid = await provision(jail)
      expect(await host.findJail(jail)).toEqual({ jid })
      expect(await faultsOf(jail)).toEqual([])
      await destroy(jail)
      expect(await host.findJail(jail)).toBeUndefined()
      expect(trial.snapshot()).toEqual(empty)
    })

    it('is listed while it runs, beside the others', async () => {
      jail = trial.jail()
      const other = trial.jail()
      expect(await host.listJails()).toEqual(new Map())
      await host.ensureRoot(jail, signal)
      const [jid, otherJid] = [await provision(jail), await provision(other)]
      expect(await host.listJails()).toEqual(
        new Map([
          [jail.name, { jid }],
          [other.name, { jid: otherJid }],
        ]),
      )
      await destroy(other)
      expect(await host.listJails()).toEqual(new Map([[jail.name, { jid }]]))
      await host.removeJail(jail, signal)
      expect(await host.listJails()).toEqual(new Map())
    })

    it('has a root from its making to its removal, whether it runs or not', async () => {
      jail = trial.jail()
      const seen = [await host.hasRoot(jail)]
      const look = async () => void seen.push(await host.hasRoot(jail))
      await provision(jail)
      await look()
      await host.removeJail(jail, signal)
      await host.removeNetwork(jail, signal)
      await look()
      await host.removeRoot(jail, signal)
      await look()
      expect(seen).toEqual([false, true, true, false])
    })

    it('is never made anew: once its root is gone it cannot be mounted, and says so before it is taken down', async () => {
      jail = trial.jail()
      await provision(jail)
      await host.mountRoot(jail, signal)
      await host.requireStartable(jail)
      const moved = { ...jail, addresses: ['198.51.100.7/24'] }
      await expect(host.requireStartable(moved)).rejects.toMatchObject({ code: 'address_not_in_pool' })
      await destroy(jail)
      await expect(host.mountRoot(jail, signal)).rejects.toMatchObject({ code: 'not_built' })
      await expect(host.requireStartable(jail)).rejects.toMatchObject({ code: 'not_built' })
      expect(await host.hasRoot(jail)).toBe(false)
      expect(trial.snapshot()).toEqual(empty)
    })

    it('is the same jail when every step is repeated', async () => {
      jail = trial.jail({ command: ['/bin/sh', '/data/hello'] })
      const jid = await provision(jail)
      await until('its command to start', () => existsSync(join(trial.rootOf(jail), 'data/starts')))
      expect(await provision(jail)).toBe(jid)
      expect(await readFile(join(trial.rootOf(jail), 'data/starts'), 'utf8')).toBe('started\n')
      expect(await faultsOf(jail)).toEqual([])
    })

    it('is removed twice, and before it was ever made', async () => {
      jail = trial.jail()
      await host.endCommand(jail, signal)
      await destroy(jail)
      await provision(jail)
      await host.endCommand(jail, signal)
      await host.endCommand(jail, signal)
      await destroy(jail)
      await destroy(jail)
      expect(trial.snapshot()).toEqual(empty)
    })

    it('keeps its files and its addresses over a stop and a start', async () => {
      jail = trial.jail()
      const first = await provision(jail)
      await writeFile(join(trial.rootOf(jail), 'data/kept'), 'kept')
      await host.removeJail(jail, signal)
      await host.removeNetwork(jail, signal)
      const second = await provision(jail)
      expect(second).not.toBe(first)
      expect(await readFile(join(trial.rootOf(jail), 'data/kept'), 'utf8')).toBe('kept')
      expect(await faultsOf(jail)).toEqual([])
    })

    it('outlives its command, which is started once in a boot', async () => {
      jail = trial.jail({ command: ['/bin/echo', 'hello'] })
      const jid = await provision(jail)
      const end = () =>
        until('its end', async () => {
          const state = await host.commandStateOf(jail)
          return state?.state === 'ended' && state
        })
      await until('its output on the console', () => trial.consoleOf(jail) === 'hello\n')
      const first = await end()
      await host.startCommand(jail, signal)
      expect(await end()).toEqual(first)
      expect(trial.consoleOf(jail)).toBe('hello\n')
      expect(await faultsOf(jail)).toEqual([])
      expect(await host.findJail(jail)).toEqual({ jid })
    })

    it('gives its command its arguments as they are, without a shell', async () => {
      const odd = ['a b', '', "it's", '"', '$(id)', '`id`', '$HOME', '*', '-n', '--', '--cwd', '\\', ';', '|', 'a\tb', 'ä %s']
      jail = trial.jail({ command: ['/bin/sh', '-c', 'for word; do echo "[$word]"; done', '-d', ...odd] })
      await provision(jail)
      await until('its output on the console', () => trial.consoleOf(jail) === odd.map((word) => `[${word}]\n`).join(''))
    })

    it('knows that its command runs, and with which exit code it has ended', async () => {
      jail = trial.jail({ command: ['/bin/sh', '-c', 'until [ -e /data/go ]; do sleep 0.1; done; exit 3'] })
      await provision(jail)
      const startedAt = expect.stringMatching(/Z$/)
      expect(await host.commandStateOf(jail)).toEqual({ state: 'running', exitCode: null, startedAt, endedAt: null })
      await writeFile(join(trial.rootOf(jail), 'data/go'), '')
      const over = await until('its end', async () => {
        const state = await host.commandStateOf(jail)
        return state?.state === 'ended' && state
      })
      expect(over).toEqual({ state: 'ended', exitCode: 3, startedAt, endedAt: startedAt })
      await host.startCommand(jail, signal)
      expect(await host.commandStateOf(jail)).toEqual(over)
    })

    it('waits for /etc/rc and says how it failed', async () => {
      jail = trial.jail()
      await host.ensureRoot(jail, signal)
      await writeFile(join(trial.rootOf(jail), 'etc/rc'), 'echo mounting nothing\necho out of luck\nexit 3\n')
      await expect(provision(jail)).rejects.toMatchObject({
        code: 'command_failed',
        message: trial.rcFailure.message,
        facts: { command: '/bin/sh /etc/rc', exitCode: trial.rcFailure.exitCode, logTail: 'mounting nothing\nout of luck\n' },
      })
    })

    it('takes nothing that /etc/rc prints for a fault of its host', async () => {
      jail = trial.jail()
      await host.ensureRoot(jail, signal)
      const lines = [
        'time="2026-11-30T00:00:00Z" level=error msg="exec failed: no space left on device"',
        `jail: ${jail.name}: getpwnam: No such file or directory`,
        'runtime: failed to create new OS thread: Resource temporarily unavailable',
      ]
      for (const line of [...lines, ...lines.slice(0, 1)]) {
        await writeFile(join(trial.rootOf(jail), 'etc/rc'), `echo '${line}'\necho '${line}' >&2\nexit 2\n`)
        await expect(provision(jail)).rejects.toMatchObject({
          code: 'command_failed',
          facts: { command: '/bin/sh /etc/rc', logTail: expect.stringContaining(line) },
        })
      }
    })

    it('runs /etc/rc once in a boot', async () => {
      jail = trial.jail()
      await host.ensureRoot(jail, signal)
      await writeFile(join(trial.rootOf(jail), 'etc/rc'), 'echo booted\n')
      await provision(jail)
      await host.startCommand(jail, signal)
      expect(trial.consoleOf(jail)).toBe('booted\n')
    })

    it('does not take a link out of its root for its /etc/rc', async () => {
      jail = trial.jail()
      await host.ensureRoot(jail, signal)
      const outside = `${trial.rootOf(jail)}.outside`
      await mkdir(outside)
      await writeFile(join(outside, 'rc'), 'exit 1\n')
      await host.ensureNetwork(jail, signal)
      await host.ensureJail(jail, signal)
      await replaceByLink(join(trial.rootOf(jail), 'etc'), outside)
      await host.startCommand(jail, signal)
      expect(trial.consoleOf(jail)).toBe('')
    })

    it('says why a command cannot be started', async () => {
      jail = trial.jail({ command: ['/bin/nowhere'] })
      await expect(provision(jail)).rejects.toMatchObject({
        code: 'command_failed',
        message: expect.stringContaining('/bin/nowhere'),
      })
    })

    it('is ended even when its command ignores the first signal', async () => {
      jail = trial.jail({ command: ['/bin/sh', '/data/stubborn'] })
      await provision(jail)
      await until('its command to be ready', () => existsSync(join(trial.rootOf(jail), 'data/ready')))
      await destroy(jail)
      expect(trial.snapshot()).toEqual(empty)
    })

    it('does not start without its root', async () => {
      jail = trial.jail()
      await host.ensureNetwork(jail, signal)
      await expect(host.ensureJail(jail, signal)).rejects.toMatchObject({ code: 'not_built' })
    })

    it('keeps its root while it runs', async () => {
      jail = trial.jail()
      const jid = await provision(jail)
      await expect(host.removeRoot(jail, signal)).rejects.toMatchObject({ code: 'resource_busy', retryable: true })
      expect(await host.findJail(jail)).toEqual({ jid })
      expect(await faultsOf(jail)).toEqual([])
    })

    it('takes no file of the host with it, wherever its links lead', async () => {
      jail = trial.jail()
      await provision(jail)
      const outside = `${host.worldTree({ name: jail.world, digest: jail.worldDigest })}/data`
      await symlink(outside, join(trial.rootOf(jail), 'data/link'))
      await destroy(jail)
      expect(existsSync(join(outside, 'hello'))).toBe(true)
    })

    it('gets no address that another jail of the host has', async () => {
      jail = trial.jail()
      const other = trial.jail({ addresses: jail.addresses })
      const learn = () => undefined
      const worlds = {} as WorldStore
      const asker = { operation: 'a test', record: learn }
      const attach = () => attachNetwork.run({ host, jail, neighbours: [other], signal, learn, worlds, asker })
      await provision(other)
      expect(await host.hasNetwork(other, signal)).toBe(true)
      await expect(attach()).rejects.toMatchObject({
        code: 'address_in_use',
        message: `Jail ${other.name} of this host has the address ${bareAddress(jail.addresses[0] ?? '')}.`,
      })
      expect(await host.hasNetwork(jail, signal)).toBe(false)
      await destroy(other)
      expect(await host.hasNetwork(other, signal)).toBe(false)
      await attach()
      await destroy(jail)
      expect(trial.snapshot()).toEqual(empty)
    })

    it('fails every check when it does not run', async () => {
      jail = trial.jail()
      const { checks } = await host.proveIsolation(jail, signal)
      expect(checks.every(({ ok }) => !ok)).toBe(true)
      expect(checks.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['hostname', 'addresses', 'processes', 'root', 'devices', 'privileges']),
      )
    })

    const cuts: Record<string, (jail: JailSpec) => Promise<unknown>> = {
      'has only its root': (jail) => host.ensureRoot(jail, signal),
      'has only its network': (jail) => host.ensureNetwork(jail, signal),
      'has only its root and its network': async (jail) => {
        await host.ensureRoot(jail, signal)
        await host.ensureNetwork(jail, signal)
      },
      'runs without its command': async (jail) => {
        await host.ensureRoot(jail, signal)
        await host.ensureNetwork(jail, signal)
        await host.ensureJail(jail, signal)
      },
    }
    const states = [...Object.keys(cuts), ...names]
    const make = (state: string) => (cuts[state] ?? trial.halfMade[state])?.(jail)

    it.each(states)('is completed when it %s', async (state) => {
      jail = trial.jail({ command: ['/bin/sh', '/data/hello'] })
      await make(state)
      await provision(jail)
      expect(await faultsOf(jail)).toEqual([])
    })

    it.each(states)('leaves nothing when it %s', async (state) => {
      jail = trial.jail({ command: ['/bin/sh', '/data/hello'] })
      await make(state)
      await destroy(jail)
      expect(trial.snapshot()).toEqual(empty)
    })
  })
}

async function replaceByLink(path: string, target: string): Promise<void> {
  await rm(path, { recursive: true })
  await symlink(target, path)
}
