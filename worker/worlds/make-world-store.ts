import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { WorldState } from '#shared/host.ts'
import type { RetryPolicy } from '../backoff.ts'
import type { HostRuntime, WorldId } from '../host/host-runtime.ts'
import type { RunCommand } from '../host/run-command.ts'
import { type RunningFill, startFill } from './start-fill.ts'
import { type World, worldDigest } from './world.ts'
import type { WorldStore } from './world-store.ts'

export type WorldStoreDeps = {
  worlds: World[]
  host: Pick<HostRuntime, 'platform' | 'stageWorld' | 'commitWorld' | 'discardStage' | 'discardStages' | 'listWorlds'>
  run: RunCommand
  /** How many fills run at once. */
  fills: number
  log: Pick<Logger, 'info' | 'warn'>
  retry?: RetryPolicy
  /** Called when a world has become ready or could not be filled. */
  changed?(): void
}

const fillRetry: RetryPolicy = { maxAttempts: 3, firstDelayMs: 2_000, maxDelayMs: 30_000, holdSlotMs: Number.POSITIVE_INFINITY }
/** For an operation that waited for a fill that failed, and has not come back to hear of it. */
const failureKeptMs = 600_000
const prefillAgainMs = 60_000

/** A world of the configuration, and how it stands. */
type Entry = { world: World; id: WorldId; fill?: RunningFill; failure?: ProvostError }

export function makeWorldStore({ worlds, host, run, fills, log, retry = fillRetry, changed }: WorldStoreDeps): WorldStore {
  const entries = worlds.map((world): Entry => ({ world, id: { name: world.name, digest: worldDigest(world) } }))
  const ready = new Set<string>()
  const limit = pLimit(fills)
  const closing = new AbortController()
  /** By operation. */
  const failures = new Map<string, ProvostError>()
  const timers = new Set<NodeJS.Timeout>()

  function start(entry: Entry): RunningFill {
    const startedAt = performance.now()
    delete entry.failure
    const running = startFill(entry.world, entry.id, { host, run, log, limit, retry, signal: closing.signal })
    // Who waits hears of the end only when it is written down here.
    const done = running.done.then(
      () => {
        delete entry.fill
        ready.add(keyOf(entry.id))
        const seconds = Math.round((performance.now() - startedAt) / 100) / 10
        log.info({ world: entry.world.name, seconds }, 'world is ready')
      },
      (thrown) => {
        delete entry.fill
        // A stop is no failure of the world: those who wait ask again after the next start.
        if (closing.signal.aborted) throw thrown
        const error = toProvostError(thrown)
        entry.failure = error
        for (const operation of running.operations()) keepFailure(operation, error)
        log.warn({ world: entry.world.name, code: error.code, reason: error.message }, 'world could not be filled')
        throw error
      },
    )
    done.catch(() => undefined).then(() => changed?.())
    entry.fill = { ...running, done }
    return entry.fill
  }

  function keepFailure(operation: string, error: ProvostError): void {
    failures.set(operation, error)
    later(failureKeptMs, () => {
      if (failures.get(operation) === error) failures.delete(operation)
    })
  }

  function prefillOne(entry: Entry): void {
    if (ready.has(keyOf(entry.id)) || closing.signal.aborted) return
    const fill = entry.fill ?? start(entry)
    fill.done.catch(({ code }) => {
      if (code === 'mirror_unavailable') later(prefillAgainMs, () => prefillOne(entry))
    })
  }

  function later(ms: number, what: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer)
      what()
    }, ms)
    timers.add(timer.unref())
  }

  return {
    async open() {
      await host.discardStages()
      for (const id of await host.listWorlds()) ready.add(keyOf(id))
    },
    states: () => entries.map((entry) => stateOf(entry, ready.has(keyOf(entry.id)))),
    isReady: (world) => ready.has(keyOf(world)),
    fill(world, asker) {
      if (ready.has(keyOf(world))) return undefined
      const failure = failures.get(asker.operation)
      failures.delete(asker.operation)
      if (failure) throw failure
      const entry = entries.find(({ id }) => keyOf(id) === keyOf(world))
      if (!entry)
        throw new ProvostError('world_source_missing', `The configuration of this host has no world ${world.name} as asked.`)
      const fill = entry.fill ?? start(entry)
      fill.join(asker)
      return fill
    },
    prefill() {
      for (const entry of entries) if (entry.world.prefill) prefillOne(entry)
    },
    async close() {
      closing.abort(new ProvostError('cancelled', 'The worker stops.'))
      for (const timer of timers) clearTimeout(timer)
      await Promise.allSettled(entries.map(({ fill }) => fill?.done))
    },
  }
}

function keyOf({ name, digest }: WorldId): string {
  return `${name} ${digest}`
}

function stateOf({ world, id, fill, failure }: Entry, isReady: boolean): WorldState {
  const common = { name: world.name, digest: id.digest, method: world.method, prefill: world.prefill }
  if (isReady) return { ...common, state: 'ready' }
  if (fill) return { ...common, state: 'filling', percent: Math.floor(fill.fraction() * 100) }
  if (failure) return { ...common, state: 'failed', error: `${failure.code}: ${failure.message}` }
  return { ...common, state: 'absent' }
}
