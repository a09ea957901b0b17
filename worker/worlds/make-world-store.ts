import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { WorldId } from '#shared/job.ts'
import type { RetryPolicy } from '#shared/process/retry-policy.ts'
import { type World, worldDigest } from '../config/world.ts'
import type { FilledWorld } from '../host/files/world-ids.ts'
import type { RunCommand } from '../host/programs/run-command.ts'
import { type Entry, prefillOf, stateOf } from './fills/entry.ts'
import { makeFailures } from './fills/failures.ts'
import { type FillEntryDeps, fillEntry, refusePoisoned } from './fills/fill-entry.ts'
import type { FillKills } from './fills/kills.ts'
import { makeTimers } from './fills/timers.ts'
import { keyOf, type WorldHost, type WorldStore } from './world-store.ts'

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
  /** Whether the whole root is away for the moment: worlds that are filled are not filled anew for that. */
  isAway?(): boolean
}

const fillRetry: RetryPolicy = { maxAttempts: 3, firstDelayMs: 2_000, maxDelayMs: 30_000, keepSlotMs: Number.POSITIVE_INFINITY }
const prefillAgainMs = 60_000

export function makeWorldStore(deps: WorldStoreDeps): WorldStore {
  const { worlds, host, fills, kills, log, changed = () => undefined, isAway = () => false } = deps
  const entries = worlds.map((world): Entry => ({ world, id: { name: world.name, digest: worldDigest(world) } }))
  const ready = new Map<string, FilledWorld>()
  const closing = new AbortController()
  const timers = makeTimers()
  const failures = makeFailures(timers)
  const fillDeps: FillEntryDeps = {
    ...{ retry: fillRetry, ...deps, changed, limit: pLimit(fills), signal: closing.signal },
    onReady: (filled) => void ready.set(keyOf(filled), filled),
    onFailure: failures.note,
  }

  /** Somebody may have taken a filled world away. */
  function isStillReady(world: WorldId): boolean {
    if (!ready.has(keyOf(world))) return false
    if (host.hasWorld(world) || isAway()) return true
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
    const fill = entry.fill ?? fillEntry(entry, fillDeps)
    kills.begin(prefillOf(entry))
    fill.done.catch(({ code }) => {
      if (code === 'mirror_unavailable') timers.after(prefillAgainMs, () => prefillOne(entry))
    })
  }

  return {
    async open() {
      await host.discardStages()
      const onUnreadable = (setAside: string, error: unknown) =>
        log.warn({ err: error, setAside }, 'the id of a world cannot be read: it is set aside, and the world is filled anew')
      for (const filled of await host.listWorlds(onUnreadable)) ready.set(keyOf(filled), filled)
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
      const fill = entry.fill ?? fillEntry(entry, fillDeps)
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
