import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { WorldState } from '#shared/host.ts'
import type { WorldId } from '#shared/job.ts'
import type { RetryPolicy } from '#shared/process/retry-policy.ts'
import { type World, worldDigest } from '../config/world.ts'
import type { FilledWorld, HostRuntime } from '../host/host-runtime.ts'
import type { RunCommand } from '../host/programs/run-command.ts'
import { poisonousKills } from '../journal/entries.ts'
import type { FillKills } from './fill-kills.ts'
import { type FillDeps, type RunningFill, startFill } from './start-fill.ts'
import { type Fill, keyOf, type WorldStore } from './world-store.ts'

type WorldHost = Pick<
  HostRuntime,
  | 'platform'
  | 'endProcessesOf'
  | 'stageWorld'
  | 'commitWorld'
  | 'discardStage'
  | 'discardStages'
  | 'listWorlds'
  | 'hasWorld'
  | 'removeWorld'
>

type WorldStoreDeps = {
  worlds: World[]
  host: WorldHost
  run: RunCommand
  /** How many fills run at once. */
  fills: number
  /** How often the worker was killed while an asker waited for a fill. */
  kills: FillKills
  log: Pick<Logger, 'info' | 'warn'>
  retry?: RetryPolicy
  /** Called when the state of a world has changed. */
  changed?(): void
}

const fillRetry: RetryPolicy = { maxAttempts: 3, firstDelayMs: 2_000, maxDelayMs: 30_000, keepSlotMs: Number.POSITIVE_INFINITY }
/** How long a failure is kept for an operation that waited for the fill and has not asked again. */
const failureKeptMs = 600_000
const prefillAgainMs = 60_000

/** A world of the configuration, and its fill. */
type Entry = {
  world: World
  id: WorldId
  fill?: Fill & Pick<RunningFill, 'join' | 'fraction'>
  failure?: ProvostError
  /** The end of its last fill, which may have been left and may still be removing its stage. */
  lastEnd?: Promise<unknown>
}

export function makeWorldStore(deps: WorldStoreDeps): WorldStore {
  const { worlds, host, fills, kills, log, changed = () => undefined } = deps
  const entries = worlds.map((world): Entry => ({ world, id: { name: world.name, digest: worldDigest(world) } }))
  const ready = new Map<string, FilledWorld>()
  const closing = new AbortController()
  const timers = makeTimers()
  const failures = makeFailures(timers)
  const startDeps: StartDeps = {
    ...{ retry: fillRetry, ...deps, changed, limit: pLimit(fills), signal: closing.signal },
    onReady: (filled) => void ready.set(keyOf(filled), filled),
    onFailure: failures.note,
  }

  /** Somebody may have taken a filled world away. */
  function isStillReady(world: WorldId): boolean {
    if (!ready.has(keyOf(world))) return false
    if (host.hasWorld(world)) return true
    ready.delete(keyOf(world))
    log.warn({ world: world.name }, 'a filled world was taken away from this host')
    return false
  }

  function prefillOne(entry: Entry): void {
    if (ready.has(keyOf(entry.id)) || closing.signal.aborted) return
    try {
      refusePoisoned(entry, prefillOf(entry), kills)
    } catch (thrown) {
      entry.failure = toProvostError(thrown)
      log.warn({ world: entry.world.name, reason: entry.failure.message }, 'world is not filled')
      changed()
      return
    }
    const fill = entry.fill ?? start(entry, startDeps)
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
    look() {
      for (const world of [...ready.values()]) {
        if (isStillReady(world)) continue
        // Its jails need it, whoever asks for it next.
        const entry = entries.find(({ id }) => keyOf(id) === keyOf(world))
        if (entry) prefillOne(entry)
        changed()
      }
    },
    fill(world, asker) {
      if (isStillReady(world)) return undefined
      failures.raise(asker.operation)
      const entry = entries.find(({ id }) => keyOf(id) === keyOf(world))
      if (!entry)
        throw new ProvostError('world_source_missing', `The configuration of this host has no world ${world.name} as asked.`)
      refusePoisoned(entry, asker.operation, kills)
      const fill = entry.fill ?? start(entry, startDeps)
      fill.join(asker)
      kills.begin(asker.operation)
      return fill
    },
    leave(world, operation) {
      failures.forget(operation)
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
    /** The fill has failed for the operations that wait for it. */
    onFailure(operations: string[], error: ProvostError): void
  }

/** Starts the fill of a world, once an earlier one of it has removed its stage. */
function start(entry: Entry, deps: StartDeps): NonNullable<Entry['fill']> {
  const { kills, log, changed, signal } = deps
  delete entry.failure
  const { lastEnd } = entry
  const after = (async () => {
    await lastEnd?.catch(() => undefined)
    await kills.noted()
  })()
  const running = startFill(entry.world, entry.id, { ...deps, after })
  const endFill = () => entry.fill === fill && delete entry.fill
  const endWaits = () => {
    endFill()
    for (const operation of [...running.operations(), prefillOf(entry)]) kills.end(operation)
  }
  // Settles for those who wait only once the end is noted here.
  const done = running.done.then(
    (filled) => {
      endWaits()
      deps.onReady(filled)
      log.info({ world: entry.world.name, fillMs: filled.fillMs }, 'world is ready')
    },
    (thrown) => {
      endWaits()
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
    // Whoever asks from now on gets a new fill, which waits until this one has removed its stage.
    if (running.isLeft() && endFill()) changed()
  }
  const fill = { ...running, done, leave }
  entry.fill = fill
  entry.lastEnd = done
  return fill
}

/** @throws ProvostError `poisoned`, once: who asks again starts from the beginning. */
function refusePoisoned({ world }: Entry, asker: string, kills: FillKills): void {
  if (kills.of(asker) < poisonousKills) return
  kills.end(asker)
  throw new ProvostError('poisoned', `The worker was ended three times while it filled world ${world.name}.`)
}

/** Returns what keeps the failure of a fill for the operations that waited for it. */
function makeFailures(timers: ReturnType<typeof makeTimers>) {
  const failures = new Map<string, ProvostError>()
  return {
    note(operations: string[], error: ProvostError): void {
      for (const operation of operations) {
        failures.set(operation, error)
        timers.after(failureKeptMs, () => failures.get(operation) === error && failures.delete(operation))
      }
    },
    /** @throws ProvostError the failure of an operation's fill, once */
    raise(operation: string): void {
      const failure = failures.get(operation)
      failures.delete(operation)
      if (failure) throw failure
    },
    forget: (operation: string) => void failures.delete(operation),
  }
}

/** Returns timers for what happens later, unless they are cleared before. They keep no process alive. */
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

/** The asker of a fill at the start of the worker. */
const prefillOf = ({ world }: Entry) => `prefill ${world.name}`

function stateOf({ world, id, fill, failure }: Entry, filled: FilledWorld | undefined): WorldState {
  const common = { name: world.name, digest: id.digest, method: world.method, prefill: world.prefill }
  if (filled) return { ...common, state: 'ready', ...(filled.fillMs === undefined ? {} : { fillMs: filled.fillMs }) }
  if (fill) return { ...common, state: 'filling', percent: Math.floor(fill.fraction() * 100) }
  if (failure) return { ...common, state: 'failed', error: `${failure.code}: ${failure.message}` }
  return { ...common, state: 'absent' }
}
