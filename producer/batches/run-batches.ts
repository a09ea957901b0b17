import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { ProvostError } from '#shared/errors.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { Operate } from '../operations/operate.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import type { EventFeed } from '../records/event-feed.ts'
import { countInBatch } from '../records/operation-lists.ts'
import { toFields } from '../records/records.ts'
import { type BatchRecord, countWaiting, readBatch } from './batch-record.ts'
import { type Failure, failuresOf } from './find-causes.ts'
import { assertHeld, holdBatch } from './hold-batch.ts'
import { judgeBatch } from './judge-batch.ts'
import { makeRate } from './measure-rate.ts'
import { type HeldBatch, type ReleaseDeps, releaseRows } from './release-rows.ts'

type Deps = Omit<ReleaseDeps, 'operate' | 'isBounded'> & {
  operate: Pick<Operate, 'create' | 'retry'>
  hosts: { all(): PlacementHost[] }
  feed: Pick<EventFeed, 'subscribe'>
  timing: Timing
  log: Logger
}

/** One release holds Redis and the hosts' registry for so many rows at most. */
const rowsAtOnce = 50
const retriesAtOnce = 8

/**
 * Runs the batches that have not ended: releases their rows, as many as may be in flight, pauses and ends them. Of several
 * producers one at a time sees to a batch. Gives what ends that.
 */
export function startBatches(deps: Deps): () => Promise<void> {
  const { redis, keys, scripts, feed, timing, log } = deps
  const rates = new Map<string, ReturnType<typeof makeRate>>()
  /** By batch, its counters as watchers were told last. */
  const told = new Map<string, string>()
  let running: Promise<void> | undefined
  let again = false
  let stopped = false

  async function runAll(): Promise<void> {
    for (const id of await redis.zrange(keys.batches('open'), '0', '-1'))
      await runOne(id).catch((error) => log.warn({ err: error, batch: id }, 'a batch could not go on; it is tried again'))
  }

  async function runOne(id: string): Promise<void> {
    await holdBatch(id, redis, keys, async (held) => {
      const batch = await readBatch(redis, keys, id)
      await (batch ? step({ ...batch, held }) : redis.zrem(keys.batches('open'), id))
    })
  }

  async function step(batch: HeldBatch): Promise<void> {
    const waiting = await countWaiting(batch, redis, keys)
    const room = Math.min(batch.maxInFlight - (batch.queued + batch.running - waiting), roomOnHosts(deps.hosts.all()), rowsAtOnce)
    if (batch.retryCause !== undefined) {
      if (room <= 0) return tellProgress(batch)
      await retryFailures(batch, room)
      // Its counters are others now.
      again = true
      return
    }
    const verdict = judgeBatch(batch, waiting)
    if (verdict.type === 'ends') return end(batch, verdict.status)
    if (verdict.type === 'pauses') return set(batch, { status: 'paused', reason: verdict.reason })
    // One that had ended, some of whose rows are tried again.
    if (batch.finishedAt !== null)
      await set(batch, { status: batch.status === 'cancelled' ? 'cancelled' : 'running', finishedAt: null })
    if (verdict.passesCanary) await set(batch, { canaryPassed: '1' })
    const reason =
      verdict.upTo > 0 && room > 0
        ? await releaseRows(batch, room, verdict.upTo, { ...deps, isBounded: () => deps.hosts.all().some(isBounded) })
        : undefined
    if (batch.status === 'running') await tellReason(batch, reason)
    await tellProgress(batch)
  }

  /** A shortage is told as long as there are rows that wait for its end. */
  async function tellReason(batch: HeldBatch, reason: string | undefined): Promise<void> {
    if (reason !== undefined && reason !== batch.reason) return set(batch, { reason })
    if (batch.reason !== undefined && (await redis.zcard(keys.batchDeferred(batch.id))) === 0)
      await set(batch, { reason: undefined })
  }

  async function tellProgress(batch: HeldBatch): Promise<void> {
    const { id, queued, running, succeeded, failed, cancelled } = batch
    const rate = rates.get(id) ?? makeRate()
    rates.set(id, rate)
    rate.note(succeeded + failed + cancelled, Date.now())
    const counters = [queued, running, succeeded, failed, cancelled].join(' ')
    if (told.get(id) === counters) return
    told.set(id, counters)
    await set(batch, rate.now(queued + running) ?? {})
  }

  async function end(batch: HeldBatch, status: BatchRecord['status']): Promise<void> {
    const { id } = batch
    // Whatever crash has left some: a batch that is over keeps no name from others.
    await deps.claims.giveBackAll(batch)
    const ended = { status, finishedAt: new Date().toISOString(), reason: undefined, rate: undefined, eta: undefined }
    await set(batch, ended, [['ZREM', keys.batches('open'), id]])
    // A row may have been tried again at this very moment.
    const now = await readBatch(redis, keys, id)
    if (now && now.queued + now.running > 0) await redis.zadd(keys.batches('open'), '0', id)
    rates.delete(id)
    told.delete(id)
    log.info({ batch: id, status, succeeded: batch.succeeded, failed: batch.failed }, 'a batch has ended')
  }

  async function set(batch: HeldBatch, fields: Partial<BatchRecord>, more: string[][] = []): Promise<void> {
    const key = keys.batch(batch.id)
    const gone = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [name] : []))
    const written = toFields(fields)
    const committed = await scripts.commit({
      unchanged: [batch.held],
      commands: [
        ...(written.length > 0 ? [['HSET', key, ...written]] : []),
        ...(gone.length > 0 ? [['HDEL', key, ...gone]] : []),
        ...more,
      ],
      events: [['batch', batch.id, key]],
    })
    assertHeld(committed, batch.id)
  }

  /** Tries again what failed of a cause before somebody asked for it, as far as there is room. */
  async function retryFailures(batch: HeldBatch, room: number): Promise<void> {
    const slots = pLimit(retriesAtOnce)
    let left = room
    for await (const page of failuresOf(batch.id, deps)) {
      const meant = page.filter((failure) => isMeant(failure, batch))
      while (meant.length > 0) {
        if (left === 0) return
        const retried = await Promise.all(meant.splice(0, left).map((failure) => slots(() => retryOne(batch, failure))))
        left -= retried.filter(Boolean).length
      }
    }
    const done = [['HDEL', keys.batch(batch.id), 'retryCause', 'retryBefore']]
    assertHeld(await scripts.commit({ unchanged: [batch.held], commands: done, events: [] }), batch.id)
  }

  /** Whether it was: what cannot be tried again stays as it is. */
  async function retryOne({ id, held }: HeldBatch, { operation, row }: Failure): Promise<boolean> {
    if (!operation) {
      const commands = [
        ['HDEL', keys.batchRefused(id), String(row)],
        ['ZADD', keys.batchDeferred(id), '0', String(row)],
        ...countInBatch(id, 'failed', 'queued', keys),
      ]
      assertHeld(await scripts.commit({ unchanged: [held], commands, events: [] }), id)
      return true
    }
    try {
      await deps.operate.retry(operation.id)
      return true
    } catch (error) {
      if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
      log.info({ err: error.message, operation: operation.id }, 'not retried')
      return false
    }
  }

  async function runUntilQuiet(): Promise<void> {
    do {
      again = false
      await runAll().catch((error) => log.warn({ err: error.message }, 'batches wait'))
    } while (again && !stopped)
  }

  function poke(): void {
    again = true
    if (stopped) return
    running ??= runUntilQuiet().finally(() => {
      running = undefined
    })
  }

  const timer = setInterval(poke, timing.look)
  const unsubscribe = feed.subscribe(
    ({ kind }) => kind === 'operation' && poke(),
    () => undefined,
  )
  return async () => {
    stopped = true
    clearInterval(timer)
    unsubscribe()
    await running
  }
}

function isMeant({ cause, operation }: Failure, { retryCause, retryBefore = 0 }: BatchRecord): boolean {
  return (retryCause === '*' || cause === retryCause) && (operation === null || operation.epoch <= retryBefore)
}

/** How many operations a host may have open for a batch to give it another one. */
function mostOfBatch({ capacity }: PlacementHost): number {
  return Math.max(4, 2 * (capacity.builds + capacity.starts))
}

/** Whether a host is left out by batches, as it has enough to do. */
export const isBounded = (host: PlacementHost) => host.state === 'up' && host.operations >= mostOfBatch(host)

function roomOnHosts(hosts: PlacementHost[]): number {
  const up = hosts.filter(({ state }) => state === 'up')
  // Where none is up a row is to find out, and say, why it waits.
  if (up.length === 0) return 1
  return up.reduce((room, host) => room + Math.max(0, mostOfBatch(host) - host.operations), 0)
}
