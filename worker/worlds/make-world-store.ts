import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { WorldState } from '#shared/host.ts'
import type { WorldId } from '#shared/job.ts'
import type { RetryPolicy } from '#shared/process/retry-policy.ts'
import { type World, worldDigest } from '../config/world.ts'
import type { FilledWorld, HostRuntime } from '../host/host-runtime.ts'
import type { RunCommand } from '../host/run-command.ts'
import { poisonousKills } from '../journal/entries.ts'
import type { FillKills } from './fill-kills.ts'
import { type FillDeps, type RunningFill, startFill } from './start-fill.ts'
import type { Fill, WorldStore } from './world-store.ts'

type WorldHost = Pick<
  HostRuntime,
  'platform' | 'endProcessesOf' | 'stageWorld' | 'commitWorld' | 'discardStage' | 'discardStages' | 'listWorlds' | 'removeWorld'
>

export type WorldStoreDeps = {
  worlds: World[]
  host: WorldHost
  run: RunCommand
  /** How many fills run at once. */
  fills: number
  /** How often those who wait for one have seen the worker ended. */
  kills: FillKills
  log: Pick<Logger, 'info' | 'warn'>
  retry?: RetryPolicy
  /** Called when the state of a world has changed. */
  changed?(): void
}

const fillRetry: RetryPolicy = { maxAttempts: 3, firstDelayMs: 2_000, maxDelayMs: 30_000, holdSlotMs: Number.POSITIVE_INFINITY }
/** For an operation that waited for a fill that failed, and has not come back to hear of it. */
const failureKeptMs = 600_000
const prefillAgainMs = 60_000

/** A world of the configuration, and how its fill goes. */
type Entry = {
  world: World
  id: WorldId
  fill?: Fill & Pick<RunningFill, 'join' | 'fraction'>
  failure?: ProvostError
  /** The end of its last fill, which may have been left and still takes its stage away. */
  lastEnd?: Promise<unknown>
}

export function makeWorldStore(deps: WorldStoreDeps): WorldStore {
  const { worlds, host, fills, kills, log, changed = () => undefined } = deps
  const entries = worlds.map((world): Entry => ({ world, id: { name: world.name, digest: worldDigest(world) } }))
  const ready = new Map<string, FilledWorld>()
  const closing = new AbortController()
  const timers = makeTimers()
  /** By operation. */
  const failures = new Map<string, ProvostError>()
  const start = makeStartFill({
    ...{ retry: fillRetry, ...deps, changed, limit: pLimit(fills), signal: closing.signal },
    onReady: (filled) => void ready.set(keyOf(filled), filled),
    onFailure(operations, error) {
      for (const operation of operations) {
        failures.set(operation, error)
        timers.after(failureKeptMs, () => failures.get(operation) === error && failures.delete(operation))
      }
    },
  })

  /** @throws ProvostError `poisoned`, once; who asks after that starts anew. */
  function refusePoisoned({ world }: Entry, asker: string): void {
    if (kills.of(asker) < poisonousKills) return
    kills.end(asker)
    throw new ProvostError('poisoned', `The worker was ended three times while it filled world ${world.name}.`)
  }

  function prefillOne(entry: Entry): void {
    if (ready.has(keyOf(entry.id)) || closing.signal.aborted) return
    try {
      refusePoisoned(entry, prefillOf(entry))
    } catch (thrown) {
      entry.failure = toProvostError(thrown)
      log.warn({ world: entry.world.name, reason: entry.failure.message }, 'world is not filled')
      changed()
      return
    }
    const fill = entry.fill ?? start(entry)
    kills.begin(prefillOf(entry))
    fill.done.catch(({ code }) => {
      if (code === 'mirror_unavailable') timers.after(prefillAgainMs, () => prefillOne(entry))
    })
  }

  return {
    async open() {
      await host.discardStages()
      for (const filled of await host.listWorlds()) ready.set(keyOf(filled), filled)
    },
    states: () => entries.map((entry) => stateOf(entry, ready.get(keyOf(entry.id)))),
    isReady: (world) => ready.has(keyOf(world)),
    fill(world, asker) {
      if (ready.has(keyOf(world))) return undefined
      const failure = failures.get(asker.operation)
      failures.delete(asker.operation)
      if (failure) throw failure
      const entry = entries.find(({ id }) => keyOf(id) === keyOf(world))
      if (!entry)
        throw new ProvostError('world_source_missing', `The configuration of this host has no world ${world.name} as asked.`)
      refusePoisoned(entry, asker.operation)
      const fill = entry.fill ?? start(entry)
      fill.join(asker)
      kills.begin(asker.operation)
      return fill
    },
    leave(world, operation) {
      failures.delete(operation)
      entries.find(({ id }) => keyOf(id) === keyOf(world))?.fill?.leave(operation)
    },
    prefill() {
      for (const entry of entries) if (entry.world.prefill) prefillOne(entry)
    },
    unlisted: () => [...ready.values()].filter((world) => !entries.some(({ id }) => keyOf(id) === keyOf(world))),
    async remove(world) {
      const filled = ready.get(keyOf(world))
      ready.delete(keyOf(world))
      try {
        await host.removeWorld(world)
      } catch (error) {
        const isThere = filled && (await host.listWorlds()).some((each) => keyOf(each) === keyOf(world))
        if (isThere) ready.set(keyOf(world), filled)
        throw error
      }
      changed()
    },
    async close() {
      closing.abort(new ProvostError('cancelled', 'The worker stops.'))
      timers.clear()
      await Promise.allSettled(entries.map(({ lastEnd }) => lastEnd))
      await kills.noted()
    },
  }
}

type StartDeps = Omit<FillDeps, 'after'> &
  Pick<WorldStoreDeps, 'kills'> & {
    changed(): void
    onReady(filled: FilledWorld): void
    /** It has failed those who wait for it. */
    onFailure(operations: string[], error: ProvostError): void
  }

/** Returns what starts the fill of a world, once an earlier one of it has taken its stage away. */
function makeStartFill(deps: StartDeps) {
  const { kills, log, changed, signal } = deps
  return function start(entry: Entry): NonNullable<Entry['fill']> {
    delete entry.failure
    const { lastEnd } = entry
    const after = (async () => {
      await lastEnd?.catch(() => undefined)
      await kills.noted()
    })()
    const running = startFill(entry.world, entry.id, { ...deps, after })
    const endsItself = () => entry.fill === fill && delete entry.fill
    const endsWaits = () => {
      endsItself()
      for (const operation of [...running.operations(), prefillOf(entry)]) kills.end(operation)
    }
    // Who waits hears of the end only when it is written down here.
    const done = running.done.then(
      (filled) => {
        endsWaits()
        deps.onReady(filled)
        log.info({ world: entry.world.name, fillMs: filled.fillMs }, 'world is ready')
      },
      (thrown) => {
        endsWaits()
        // No failure of the world: those who wait ask again after the next start, or nobody waits.
        if (signal.aborted || running.isLeft()) throw thrown
        const error = toProvostError(thrown)
        entry.failure = error
        deps.onFailure(running.operations(), error)
        log.warn({ world: entry.world.name, code: error.code, reason: error.message }, 'world could not be filled')
        throw error
      },
    )
    done.catch(() => undefined).then(changed)
    const leave = (operation: string) => {
      running.leave(operation)
      kills.end(operation)
      // Whoever asks from now on gets a fill anew, which waits for this one's stage to be gone.
      if (running.isLeft() && endsItself()) changed()
    }
    const fill = { ...running, done, leave }
    entry.fill = fill
    entry.lastEnd = done
    return fill
  }
}

/** What is to happen later, unless it is cleared before. Keeps no process alive. */
function makeTimers() {
  const timers = new Set<NodeJS.Timeout>()
  return {
    after(ms: number, what: () => void): void {
      const timer = setTimeout(() => {
        timers.delete(timer)
        what()
      }, ms)
      timers.add(timer.unref())
    },
    clear(): void {
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

/** Who asks for a fill at the start of the worker. */
const prefillOf = ({ world }: Entry) => `prefill ${world.name}`

function keyOf({ name, digest }: WorldId): string {
  return `${name} ${digest}`
}

function stateOf({ world, id, fill, failure }: Entry, filled: FilledWorld | undefined): WorldState {
  const common = { name: world.name, digest: id.digest, method: world.method, prefill: world.prefill }
  if (filled) return { ...common, state: 'ready', ...(filled.fillMs === undefined ? {} : { fillMs: filled.fillMs }) }
  if (fill) return { ...common, state: 'filling', percent: Math.floor(fill.fraction() * 100) }
  if (failure) return { ...common, state: 'failed', error: `${failure.code}: ${failure.message}` }
  return { ...common, state: 'absent' }
}
