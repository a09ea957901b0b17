import pLimit from 'p-limit'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import type { Timing } from '#shared/process/timing.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { AcceptDeps } from '../operations/decision.ts'
import { placeJail } from '../placement/place-jail.ts'
import type { PlacementHost } from '../placement/placement-host.ts'
import { merge } from '../records/change.ts'
import { unplaceJail } from '../records/jails/jail-changes.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { pagesOf } from '../records/lists.ts'
import { unplaceOperation } from '../records/operations/operation-changes.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'

type Deps = AcceptDeps & { timing: Timing; onMoved(): void }

const pageSize = 100
const atOnce = 8

/**
 * Returns a function that moves what it can off hosts that are down or draining: provisions that no worker has bound to its host
 * yet. Bound ones wait for their host; those that no other host takes wait, too, and are tried again.
 */
export function makeMoveOperations(deps: Deps): () => Promise<void> {
  const { redis, hosts, log, timing } = deps
  let steadySinceMs = performance.now()
  redis.on('ready', () => {
    steadySinceMs = performance.now()
  })
  return async () => {
    // After an outage of Redis every host seems silent until its next heartbeat.
    if (performance.now() - steadySinceMs < timing.silence) return
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
    // If all of a page are refused, most of the others would be, too; the next pass tries again.
    if (answers.length > 0 && answers.every((answer) => answer === 'refused')) return
  }
}

/** From a draining host only operations move that have not begun, or that wait: what its worker is doing goes on. */
function isMovable(operation: OperationRecord, host: PlacementHost): boolean {
  // Its end may have been applied since the list was read.
  if (hasEnded(operation.status)) return false
  if (operation.kind !== 'provision' || operation.host !== host.id || operation.cancelRequested) return false
  // The request names this host.
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
    const moved = await moveOperation(deps, operation, jail, `host ${host.id} is ${host.state}`)
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

/**
 * Moves a provision that is not bound to its host to another one, with a new epoch and new leases. A worker binds by a
 * compare-and-set of the same key, so only one of them succeeds. Returns undefined if it was bound or has changed meanwhile.
 *
 * @throws ProvostError why no other host takes it.
 */
async function moveOperation(deps: Deps, operation: OperationRecord, jail: JailRecord, reason: string) {
  const { keys } = deps
  const { id, host, epoch, request, moves = [] } = operation
  if (!request) return undefined
  const now = fleetTime()
  const at = now.toISOString()
  const facts = { state: 'queued' as const, updatedAt: at }
  const next = unplaceOperation(operation, now, keys)
  const others = { ...deps, hosts: { all: () => deps.hosts.all().filter((other) => other.id !== host) } }
  const answer = await placeJail(others, request, {
    ...merge(unplaceJail(jail, facts, keys), next.change),
    name: jail.name,
    operation: id,
    binding: keys.binding(host, id, epoch),
    move: { at, from: host, reason },
    moves,
  })
  if (answer.type !== 'done') return undefined
  const { host: to, epoch: taken } = answer.place
  return {
    jail: { ...jail, ...facts, ...answer.place },
    operation: { ...next.operation, host: to, epoch: taken, moves: [...moves, { at, from: host, to, epoch: taken, reason }] },
  }
}
