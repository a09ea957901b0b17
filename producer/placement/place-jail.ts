import { ProvostError } from '#shared/errors.ts'
import type { CreateJail, Jail } from '#shared/jail.ts'
import type { Move } from '#shared/operation.ts'
import type { Change } from '../records/change.ts'
import { placeOnHost } from '../records/jails/jail-changes.ts'
import { Lease } from '../records/jails/leases.ts'
import { assignToHost } from '../records/operations/operation-changes.ts'
import type { Store } from '../records/store.ts'
import { candidateInput } from './candidate-input.ts'
import { type Candidate, type Candidates, chooseHosts, type Placement, type Policy } from './choose-host.ts'
import type { FleetHosts, PlacementHost } from './placement-host.ts'
import { type Refusal, refusalError, refusalFrom } from './refusals.ts'

/** The hosts on which a jail may be placed, and which of them are preferred. */
export type Hosts = { hosts: Pick<FleetHosts, 'all'>; placement: Policy }

/** A change that also places a jail on a host. `records/scripts/admit.lua` describes its fields, and the keys that are added to it. */
export type PlacingChange = Change & {
  /** The name of the jail, and the id of its provision. */
  name: string
  operation: string
  /** An epoch that Redis has had. */
  seenEpoch?: number
  /** Where names are claimed, and the batch that the jail belongs to; left out for a jail that has its name already. */
  newName?: { claims: string; batches: string; batch?: string }
  /** For an operation that moves: the key that binds it to its old host, and its moves. Leases that its jail keeps stay taken. */
  binding?: string
  move?: Pick<Move, 'at' | 'from' | 'reason'>
  moves?: Move[]
}

type Place = Pick<Jail, 'host' | 'limits' | 'epoch'> & { leases: Lease[]; worldDigest: string }
type PlaceAnswer =
  | { type: 'done'; place: Place }
  | { type: 'replayed'; operation: string }
  | { type: 'taken'; operation: string }
  | { type: 'claimed'; batch: string }
  | { type: 'reused' | 'changed' | 'bound' }

// Nearly always the first host takes the jail, and one call of the script blocks Redis for all candidates that it gets.
const groupSizes = [3, 50]

/**
 * Places a jail on the first host that could take it and has what it asks for, or changes nothing.
 * @throws ProvostError why no host takes it: `no_capacity`, `no_free_address`, `no_suitable_host`, …
 */
export async function placeJail(
  { scripts, keys, ...hosts }: Store & Hosts,
  ask: CreateJail,
  change: PlacingChange,
): Promise<PlaceAnswer> {
  const { name, operation, ...fields } = change
  const { candidates, refusals, failure } = choose(ask, hosts)
  const refused: Refusal[] = []
  for (const group of groupsOf(candidates)) {
    const input = {
      ...fields,
      name,
      jailKey: keys.jail(name),
      operationKey: keys.operation(operation),
      candidates: group.map((candidate) => ({
        ...candidateInput(candidate, keys),
        commands: [...placeOnHost(name, candidate.host.id, candidate, keys), ...assignToHost(operation, candidate.host.id, keys)],
      })),
    }
    const [type, ...rest] = await counted(group[0]?.host, () =>
      scripts.admit([keys.eventSequence, keys.events, keys.leases, keys.epoch, keys.fleet, keys.jails()], JSON.stringify(input)),
    )
    switch (type) {
      case 'done':
        return { type, place: placeFrom(rest, group) }
      case 'replayed':
      case 'taken':
        return { type, operation: rest[0] ?? '' }
      case 'claimed':
        return { type, batch: rest[0] ?? '' }
      case 'reused':
      case 'changed':
      case 'bound':
        return { type }
    }
    // Not earlier: a request that is refused may be a replay, and only the script knows.
    if (failure) throw failure
    const answers = JSON.parse(rest[0] ?? '[]') as [host: string, code: string, what: string][]
    refused.push(...answers.map((answer) => refusalFrom(...answer)))
  }
  throw refusalError([...refusals(), ...refused])
}

/** Counts an operation on a host during a call, so that jails requested at the same moment are spread. */
async function counted<T>(host: PlacementHost | undefined, ask: () => Promise<T>): Promise<T> {
  if (host) host.operations += 1
  try {
    return await ask()
  } finally {
    if (host) host.operations -= 1
  }
}

function choose(ask: CreateJail, { hosts, placement }: Hosts): Placement & { failure?: ProvostError } {
  try {
    return chooseHosts(ask, hosts.all(), placement)
  } catch (error) {
    if (!(error instanceof ProvostError)) throw error
    return { candidates: { slice: () => [] }, refusals: () => [], failure: error }
  }
}

/** Yields candidates in groups; at least one group, even if it is empty. */
export function* groupsOf(candidates: Candidates): Generator<Candidate[]> {
  let from = 0
  for (let i = 0; ; i += 1) {
    const size = groupSizes[Math.min(i, groupSizes.length - 1)] ?? 1
    const group = candidates.slice(from, from + size)
    if (i > 0 && group.length === 0) return
    yield group
    from += size
  }
}

function placeFrom([host, leases = '[]', epoch]: string[], group: Candidate[]): Place {
  const chosen = group.find((candidate) => candidate.host.id === host)
  if (!chosen) throw new Error(`The admission script chose ${host}, which it was not offered.`)
  const { limits, worldDigest } = chosen
  return {
    host: chosen.host.id,
    leases: (JSON.parse(leases) as unknown[]).map((lease) => Lease.parse(lease)),
    limits,
    worldDigest,
    epoch: Number(epoch),
  }
}
