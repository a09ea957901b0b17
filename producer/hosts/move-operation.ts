import { type PlaceDeps, type PlaceInput, placeJail, unpromise } from '../placement/place-jail.ts'
import { changeStatus } from '../records/operation-lists.ts'
import { type JailRecord, type OperationRecord, toFields } from '../records/records.ts'

export type Moved = { operation: OperationRecord; jail: JailRecord }

/**
 * Gives a provision that is not bound to its host to another one, with a new epoch and new leases: the opposite of the
 * compare-and-set by which a worker binds it, so that only one of them can. Undefined when it was bound, or has changed
 * meanwhile.
 *
 * @throws ProvostError why no other host takes it.
 */
export async function moveOperation(from: Moved, reason: string, deps: PlaceDeps): Promise<Moved | undefined> {
  const { operation, jail } = from
  const { request } = operation
  if (!request) return undefined
  const at = new Date().toISOString()
  const next: Moved = {
    jail: { ...jail, state: 'queued', updatedAt: at },
    operation: {
      ...operation,
      status: 'queued',
      step: null,
      steps: [],
      sequence: 0,
      wakeup: operation.wakeup + 1,
      failedJobs: 0,
    },
  }
  delete next.operation.waiting
  const others = { ...deps, hosts: () => deps.hosts().filter(({ id }) => id !== operation.host) }
  const answer = await placeJail(request, inputOf(from, next, reason, deps), others)
  if (answer.type !== 'placed') return undefined
  const { host, leases, limits, worldDigest, epoch, revisions } = answer.placed
  const moves = [...(operation.moves ?? []), { at, from: operation.host, to: host, epoch, reason }]
  return {
    jail: { ...next.jail, host, leases, limits, worldDigest, epoch, revision: revisions[0] },
    operation: { ...next.operation, host, epoch, moves, revision: revisions[1] },
  }
}

function inputOf({ operation, jail }: Moved, next: Moved, reason: string, { keys }: PlaceDeps): PlaceInput {
  const { id, host, epoch } = operation
  const [jailKey, operationKey] = [keys.jail(jail.name), keys.operation(id)]
  const { status: nextStatus, step, steps, sequence, wakeup, failedJobs } = next.operation
  const { state, updatedAt } = next.jail
  return {
    name: jail.name,
    now: Date.parse(updatedAt),
    newName: false,
    unchanged: [
      [jailKey, jail.revision],
      [operationKey, operation.revision],
    ],
    binding: keys.binding(host, id, epoch),
    release: jail.leases.map(([address, , cidr]) => [address, keys.returned(cidr)]),
    move: { at: updatedAt, from: host, reason },
    moves: operation.moves ?? [],
    commands: [
      ...unpromise(host, jail.limits, keys),
      ['ZREM', keys.jails('host', host), jail.name],
      ['ZREM', keys.jails('state', jail.state), jail.name],
      ['ZREM', keys.operations('host', host), id],
      ...changeStatus(operation, nextStatus, keys),
      ['HDEL', operationKey, 'waiting'],
    ],
    jail: {
      kind: 'jail',
      key: jailKey,
      member: jail.name,
      fields: toFields({ state, updatedAt }),
      indexes: [keys.jails('state', state)],
    },
    operation: {
      kind: 'operation',
      key: operationKey,
      member: id,
      fields: toFields({ status: nextStatus, step, steps, sequence, wakeup, failedJobs }),
      indexes: [],
    },
  }
}
