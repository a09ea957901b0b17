import type { Redis } from 'ioredis'
import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import type { PlaceDeps } from '../placement/place-jail.ts'
import type { Enqueued } from '../queues/enqueue.ts'
import type { JailRecord, OperationRecord, Records } from '../records/records.ts'
import { moveOperation } from './move-operation.ts'

type Deps = PlaceDeps & {
  redis: Redis
  records: Records
  log: Logger
  timing: Timing
  enqueue(enqueued: Enqueued): Promise<void>
  onMoved(): void
  notePromise(host: string, limits: JailRecord['limits']): void
}

const pageSize = 100
const atOnce = 8

/**
 * Takes from hosts that are down or draining what can be taken: provisions that no worker has bound to its host yet. What
 * is bound waits for the host; what no other host takes waits, too, and is tried again. Gives what ends that.
 */
export function startMoving(deps: Deps): () => void {
  const { redis, hosts, log, timing } = deps
  let steadySinceMs = Date.now()
  redis.on('ready', () => {
    steadySinceMs = Date.now()
  })
  let moving = false
  const timer = setInterval(async () => {
    // After an outage of Redis every host seems silent until its next heartbeat.
    if (moving || Date.now() - steadySinceMs < timing.silence) return
    moving = true
    for (const host of hosts())
      if (host.operations > 0 && (host.state === 'down' || host.state === 'draining'))
        await moveFrom(host, deps).catch((error) =>
          log.warn({ err: error.message, host: host.id }, 'operations could not be moved'),
        )
    moving = false
  }, timing.look)
  return () => clearInterval(timer)
}

async function moveFrom(host: PlacementHost, deps: Deps): Promise<void> {
  const { redis, keys, records } = deps
  const slots = pLimit(atOnce)
  let from = '-'
  for (;;) {
    const ids = await redis.zrangebylex(keys.operations('host', host.id), from, '+', 'LIMIT', 0, pageSize)
    const movable = (await records.operations(ids)).filter((operation) => isMovable(operation, host))
    const answers = await Promise.all(movable.map((operation) => slots(() => tryMove(operation, host, deps))))
    // Where all of a page are refused the others mostly would be, too; the next round asks again.
    const isFull = answers.length > 0 && answers.every((answer) => answer === 'refused')
    if (ids.length < pageSize || isFull) return
    from = `(${ids.at(-1)}`
  }
}

/** From a draining host only what has not begun, or waits: what its worker is at goes on. */
function isMovable(operation: OperationRecord, host: PlacementHost): boolean {
  // Its end may have been applied since the list was read.
  if (hasEnded(operation.status)) return false
  if (operation.kind !== 'provision' || operation.host !== host.id || operation.cancelRequested) return false
  // It was asked for on this host.
  if (operation.request?.host) return false
  return host.state === 'down' || operation.status === 'queued' || operation.waiting !== undefined
}

async function tryMove(operation: OperationRecord, host: PlacementHost, deps: Deps): Promise<'moved' | 'left' | 'refused'> {
  const { redis, keys, records, log, enqueue, notePromise } = deps
  const jail = await records.jail(operation.jail ?? '')
  if (!jail || jail.provision !== operation.id) return 'left'
  // An earlier attempt could not be undone: until it is, the jail may live there.
  if (await redis.hexists(keys.hostLeftovers(host.id), jail.name)) return 'left'
  try {
    const reason = host.state === 'down' ? `host ${host.id} is down` : `host ${host.id} is draining`
    const moved = await moveOperation({ operation, jail }, reason, deps)
    if (!moved) return 'left'
    log.warn({ operation: operation.id, from: host.id, to: moved.operation.host }, 'moved an operation')
    deps.onMoved()
    notePromise(moved.jail.host, moved.jail.limits)
    await enqueue(moved)
    return 'moved'
  } catch (error) {
    if (!(error instanceof ProvostError)) throw error
    log.debug({ operation: operation.id, reason: error.message }, 'no other host takes an operation')
    return 'refused'
  }
}
