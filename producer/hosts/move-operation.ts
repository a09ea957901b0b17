import { type Hosts, placeJail } from '../placement/place-jail.ts'
import { merge } from '../records/change.ts'
import { leaveHost as leaveHostWithJail } from '../records/jails/jail-changes.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { leaveHost } from '../records/operations/operation-changes.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

/** A provision with its jail. */
export type Movable = { operation: OperationRecord; jail: JailRecord }

/**
 * Gives a provision that is not bound to its host to another one, with a new epoch and new leases: the opposite of the
 * compare-and-set by which a worker binds it, so that only one of them can. Undefined when it was bound, or has changed
 * meanwhile.
 *
 * @throws ProvostError why no other host takes it.
 */
export async function moveOperation(deps: Store & Hosts, { operation, jail }: Movable, reason: string) {
  const { keys } = deps
  const { id, host, epoch, request, moves = [] } = operation
  if (!request) return undefined
  const now = new Date()
  const at = now.toISOString()
  const facts = { state: 'queued' as const, updatedAt: at }
  const next = leaveHost(operation, now, keys)
  const others = { ...deps, hosts: { all: () => deps.hosts.all().filter((other) => other.id !== host) } }
  const answer = await placeJail(others, request, {
    ...merge(leaveHostWithJail(jail, facts, keys), next.change),
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
