import pLimit from 'p-limit'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { AcceptDeps } from '../operations/decision.ts'
import type { PlacementHost } from '../placement/placement-host.ts'
import { pagesOf } from '../records/lists.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import { moveOperation } from './move-operation.ts'

type Deps = AcceptDeps & { timing: Timing; onMoved(): void }

const pageSize = 100
const atOnce = 8

/**
 * Returns what takes from hosts that are down or draining what can be taken: provisions that no worker has bound to its host
 * yet. What is bound waits for the host; what no other host takes waits, too, and is tried again.
 */
export function makeMoveOperations(deps: Deps): () => Promise<void> {
  const { redis, hosts, log, timing } = deps
  let steadySinceMs = Date.now()
  redis.on('ready', () => {
    steadySinceMs = Date.now()
  })
  return async () => {
    // After an outage of Redis every host seems silent until its next heartbeat.
    if (Date.now() - steadySinceMs < timing.silence) return
    for (const host of hosts.all())
      if (host.operations > 0 && (host.state === 'down' || host.state === 'draining'))
        await moveFrom(deps, host).catch((error) =>
          log.warn({ err: error.message, host: host.id }, 'operations could not be moved'),
        )
  }
}

async function moveFrom(deps: Deps, host: PlacementHost): Promise<void> {
  const { redis, keys, records } = deps
  const slots = pLimit(atOnce)
  for await (const ids of pagesOf(redis, operationList({ host: host.id }, keys), pageSize)) {
    const movable = (await records.operations(ids)).filter((operation) => isMovable(operation, host))
    const answers = await Promise.all(movable.map((operation) => slots(() => tryMove(deps, operation, host))))
    // Where all of a page are refused the others mostly would be, too; the next round asks again.
    if (answers.length > 0 && answers.every((answer) => answer === 'refused')) return
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

async function tryMove(deps: Deps, operation: OperationRecord, host: PlacementHost): Promise<'moved' | 'left' | 'refused'> {
  const { redis, keys, records, log, enqueue, hosts } = deps
  const jail = await records.jail(operation.jail ?? '')
  if (!jail || jail.provision !== operation.id) return 'left'
  // An earlier attempt could not be undone: until it is, the jail may live there.
  if (await redis.hexists(keys.hostLeftovers(host.id), jail.name)) return 'left'
  try {
    const reason = host.state === 'down' ? `host ${host.id} is down` : `host ${host.id} is draining`
    const moved = await moveOperation(deps, { operation, jail }, reason)
    if (!moved) return 'left'
    log.warn({ operation: operation.id, from: host.id, to: moved.operation.host }, 'moved an operation')
    deps.onMoved()
    hosts.notePromise(moved.jail.host, moved.jail.limits)
    await enqueue(moved)
    return 'moved'
  } catch (error) {
    if (!(error instanceof ProvostError)) throw error
    log.debug({ operation: operation.id, reason: error.message }, 'no other host takes an operation')
    return 'refused'
  }
}
