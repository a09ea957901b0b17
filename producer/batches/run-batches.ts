import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { hasEnded } from '#shared/operation.ts'
import type { Timing } from '#shared/timing.ts'
import type { EventFeed } from '../event-feed.ts'
import type { Operate } from '../operate.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import { toFields } from '../records.ts'
import { countInBatch } from '../status-lists.ts'
import { type BatchRecord, countWaiting, readBatch } from './batch-record.ts'
import { type Failure, failuresOf } from './find-causes.ts'
import { holdBatch } from './hold-batch.ts'
import { judgeBatch } from './judge-batch.ts'
import { makeRate } from './measure-rate.ts'
import { type ReleaseDeps, releaseRows } from './release-rows.ts'

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
    await holdBatch(id, redis, keys, async () => {
      const batch = await readBatch(redis, keys, id)
      await (batch ? step(batch) : redis.zrem(keys.batches('open'), id))
    })
  }

  async function step(batch: BatchRecord): Promise<void> {
    if (batch.retryCause !== undefined) {
      await retryFailures(batch)
      // Its counters are others now.
      again = true
      return
    }
    const waiting = await countWaiting(batch, redis, keys)
    const verdict = judgeBatch(batch, waiting)
    if (verdict.type === 'ends') return end(batch, verdict.status)
    if (verdict.type === 'pauses') return set(batch, { status: 'paused', reason: verdict.reason })
    // One that had ended, some of whose rows are tried again.
    if (batch.finishedAt !== null)
      await set(batch, { status: batch.status === 'cancelled' ? 'cancelled' : 'running', finishedAt: null })
    if (verdict.passesCanary) await set(batch, { canaryPassed: '1' })
    const room = Math.min(batch.maxInFlight - (batch.queued + batch.running - waiting), roomOnHosts(deps.hosts.all()), rowsAtOnce)
    const reason =
      verdict.upTo > 0 && room > 0
        ? await releaseRows(batch, room, verdict.upTo, { ...deps, isBounded: () => deps.hosts.all().some(isBounded) })
        : undefined
    if (batch.status === 'running') await tellReason(batch, reason)
    await tellProgress(batch)
  }

  /** A shortage is told as long as there are rows that wait for its end. */
  async function tellReason(batch: BatchRecord, reason: string | undefined): Promise<void> {
    if (reason !== undefined && reason !== batch.reason) return set(batch, { reason })
    if (batch.reason !== undefined && (await redis.zcard(keys.batchDeferred(batch.id))) === 0)
      await set(batch, { reason: undefined })
  }

  async function tellProgress(batch: BatchRecord): Promise<void> {
    const { id, queued, running, succeeded, failed, cancelled } = batch
    const rate = rates.get(id) ?? makeRate()
    rates.set(id, rate)
    rate.note(succeeded + failed + cancelled, Date.now())
    const counters = [queued, running, succeeded, failed, cancelled].join(' ')
    if (told.get(id) === counters) return
    told.set(id, counters)
    await set(batch, rate.now(queued + running) ?? {})
  }

  async function end(batch: BatchRecord, status: BatchRecord['status']): Promise<void> {
    const { id } = batch
    const ended = { status, finishedAt: new Date().toISOString(), reason: undefined, rate: undefined, eta: undefined }
    await set(batch, ended, [['ZREM', keys.batches('open'), id]])
    // A row may have been tried again at this very moment.
    const now = await readBatch(redis, keys, id)
    if (now && now.queued + now.running > 0) await redis.zadd(keys.batches('open'), '0', id)
    rates.delete(id)
    told.delete(id)
    log.info({ batch: id, status, succeeded: batch.succeeded, failed: batch.failed }, 'a batch has ended')
  }

  async function set(batch: BatchRecord, fields: Partial<BatchRecord>, more: string[][] = []): Promise<void> {
    const key = keys.batch(batch.id)
    const gone = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [name] : []))
    const written = toFields(fields)
    await scripts.commit({
      unchanged: [],
      commands: [
        ...(written.length > 0 ? [['HSET', key, ...written]] : []),
        ...(gone.length > 0 ? [['HDEL', key, ...gone]] : []),
        ...more,
      ],
      events: [['batch', batch.id, key]],
    })
  }

  /** Tries again what failed of a cause before somebody asked for it, as far as there is room. */
  async function retryFailures(batch: BatchRecord): Promise<void> {
    const slots = pLimit(retriesAtOnce)
    let left = Math.max(0, Math.min(batch.maxInFlight, rowsAtOnce))
    for await (const page of failuresOf(batch.id, deps)) {
      const meant = page.filter((failure) => isMeant(failure, batch))
      await Promise.all(meant.slice(0, left).map((failure) => slots(() => retryOne(batch.id, failure))))
      left -= meant.length
      if (left <= 0) return
    }
    const key = keys.batch(batch.id)
    await scripts.commit({ unchanged: [], commands: [['HDEL', key, 'retryCause', 'retryBefore']], events: [] })
  }

  async function retryOne(batch: string, { operation, row }: Failure): Promise<void> {
    if (operation) {
      await deps.operate
        .retry(operation.id)
        .catch((error) => log.info({ err: error.message, operation: operation.id }, 'not retried'))
      return
    }
    const commands = [
      ['HDEL', keys.batchRefused(batch), String(row)],
      ['ZADD', keys.batchDeferred(batch), '0', String(row)],
      ...countInBatch(batch, 'failed', 'queued', keys),
    ]
    await scripts.commit({ unchanged: [], commands, events: [] })
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
  if (retryCause !== '*' && cause !== retryCause) return false
  return !operation?.finishedAt || (hasEnded(operation.status) && Date.parse(operation.finishedAt) <= retryBefore)
}

/** How many operations a host may have open for a batch to give it another one. */
export function mostOfBatch({ capacity }: PlacementHost): number {
  return Math.max(4, 2 * (capacity.builds + capacity.starts))
}

const isBounded = (host: PlacementHost) => host.state === 'up' && host.operations >= mostOfBatch(host)

function roomOnHosts(hosts: PlacementHost[]): number {
  return hosts.reduce((room, host) => room + (host.state === 'up' ? Math.max(0, mostOfBatch(host) - host.operations) : 0), 0)
}
