import type { Repeat } from '#shared/process/repeat.ts'
import type { Running } from '#shared/process/services.ts'
import type { Timing } from '#shared/process/timing.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { AcceptDeps } from '../operations/decision.ts'
import { changeBatch } from '../records/batches/batch-changes.ts'
import { batchList, closeBatch } from '../records/batches/batch-lists.ts'
import { type BatchRecord, countWaiting, readBatch } from '../records/batches/batch-record.ts'
import type { EventFeed } from '../records/event-feed.ts'
import type { Facts } from '../records/fields.ts'
import { assertLocked, withBatchLock } from './batch-lock.ts'
import { judgeBatch } from './judge-batch.ts'
import { makeRate } from './measure-rate.ts'
import { isBounded, roomOnHosts } from './room-on-hosts.ts'
import { returnAllNames } from './rows/claim-names.ts'
import { type LockedBatch, releaseRows } from './rows/release-rows.ts'
import { retryRows } from './rows/retry-rows.ts'

/** `hosts`: all of the fleet; rows only go to those that are not bounded. */
type Deps = AcceptDeps & { feed: Pick<EventFeed, 'subscribe'>; repeat: Repeat; timing: Timing }

/** How many rows one release takes at most, as it keeps Redis and the registry of hosts busy. */
const rowsAtOnce = 50

/**
 * Runs the batches that have not ended: releases their rows, as many as may be in flight, pauses and ends them. Only one
 * producer at a time works on a batch.
 */
export function runBatches(deps: Deps): Running {
  const runAll = makeRunBatches(deps)
  const running = deps.repeat('run-batches', deps.timing.look, () => runAll(() => void running.now()))
  const unsubscribe = deps.feed.subscribe(
    ({ kind }) => kind === 'operation' && running.now(),
    () => undefined,
  )
  return {
    name: running.name,
    halt: running.halt,
    stop() {
      unsubscribe()
      return running.stop()
    },
  }
}

/** Returns a function that takes each open batch one step further. `again` requests another pass at once. */
function makeRunBatches(deps: Deps): (again: () => void) => Promise<void> {
  const { redis, keys, scripts, log } = deps
  const rates = new Map<string, ReturnType<typeof makeRate>>()
  /** By batch, its counters as of its last event. */
  const published = new Map<string, string>()
  const hosts = { ...deps.hosts, all: () => deps.hosts.all().filter((host) => !isBounded(host)) }
  const releasing = {
    ...deps,
    hosts,
    isBounded: (id?: string) => deps.hosts.all().some((host) => (id === undefined || host.id === id) && isBounded(host)),
  }

  async function step(batch: LockedBatch, again: () => void): Promise<void> {
    const waiting = await countWaiting(deps, batch)
    const inFlight = batch.queued + batch.running - waiting
    const room = Math.min(batch.maxInFlight - inFlight, roomOnHosts(deps.hosts.all()), rowsAtOnce)
    if (batch.retryCause !== undefined) {
      if (room <= 0) return publishProgress(batch)
      await retryRows(releasing, batch, room)
      // Its counters have changed.
      return again()
    }
    const verdict = judgeBatch(batch, waiting)
    if (verdict.type === 'ends') return end(batch, verdict.status)
    if (verdict.type === 'pauses') return set(batch, { status: 'paused', reason: verdict.reason })
    // It had ended, and some of its rows are retried.
    if (batch.finishedAt !== null)
      await set(batch, { status: batch.status === 'cancelled' ? 'cancelled' : 'running', finishedAt: null })
    if (verdict.passesCanary) await set(batch, { canaryPassed: '1' })
    const reason = verdict.upTo > 0 && room > 0 ? await releaseRows(releasing, batch, room, verdict.upTo) : undefined
    if (batch.status === 'running') await updateReason(batch, reason)
    await publishProgress(batch)
  }

  /** A shortage is shown as long as there are rows that wait for its end. */
  async function updateReason(batch: LockedBatch, reason: string | undefined): Promise<void> {
    if (reason !== undefined && reason !== batch.reason) return set(batch, { reason })
    if (batch.reason !== undefined && (await redis.zcard(keys.batchDeferred(batch.id))) === 0)
      await set(batch, { reason: undefined })
  }

  async function publishProgress(batch: LockedBatch): Promise<void> {
    const { id, queued, running, succeeded, failed, cancelled } = batch
    const rate = rates.get(id) ?? makeRate()
    rates.set(id, rate)
    rate.note(succeeded + failed + cancelled, performance.now())
    const counters = [queued, running, succeeded, failed, cancelled].join(' ')
    if (published.get(id) === counters) return
    published.set(id, counters)
    await set(batch, rate.now(queued + running) ?? {})
  }

  async function end(batch: LockedBatch, status: BatchRecord['status']): Promise<void> {
    const { id } = batch
    // A crash may have left some, and a batch that has ended must claim no name.
    await returnAllNames(deps, batch)
    const ended = { status, finishedAt: fleetTime().toISOString(), reason: undefined, rate: undefined, eta: undefined }
    await set(batch, ended, closeBatch(id, keys))
    // A row may have been retried at this very moment.
    const now = await readBatch(deps, id)
    if (now && now.queued + now.running > 0) await redis.zadd(batchList('open', keys), '0', id)
    rates.delete(id)
    published.delete(id)
    log.info({ batch: id, status, succeeded: batch.succeeded, failed: batch.failed }, 'a batch has ended')
  }

  async function set(batch: LockedBatch, facts: Facts<BatchRecord>, more: string[][] = []): Promise<void> {
    assertLocked(await scripts.commit(changeBatch(batch.id, batch.lock, facts, keys, more)), batch.id)
  }

  async function runOne(id: string, again: () => void): Promise<void> {
    await withBatchLock(deps, id, async (lock) => {
      const batch = await readBatch(deps, id)
      await (batch ? step({ ...batch, lock }, again) : redis.zrem(batchList('open', keys), id))
    })
  }

  return async (again) => {
    for (const id of await redis.zrange(batchList('open', keys), '0', '-1'))
      await runOne(id, again).catch((error) => log.warn({ err: error, batch: id }, 'a batch could not go on; it is tried again'))
  }
}
