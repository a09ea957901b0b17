import { ProvostError } from '#shared/errors.ts'
import type { CreateJail, Jail } from '#shared/jail.ts'
import type { Move } from '#shared/operation.ts'
import type { Change } from '../records/change.ts'
import { placeOnHost } from '../records/jails/jail-changes.ts'
import { Lease } from '../records/jails/leases.ts'
import { giveToHost } from '../records/operations/operation-changes.ts'
import type { Store } from '../records/store.ts'
import { candidateInput } from './candidate-input.ts'
import { type Candidate, type Candidates, chooseHosts, type Placement, type Policy, refusalError } from './choose-host.ts'
import { type Refusal, refusalFrom } from './lacks.ts'
import type { FleetHosts, PlacementHost } from './placement-host.ts'

/** The hosts that a jail may be placed on, and which of those that could take it are preferred. */
export type Hosts = { hosts: Pick<FleetHosts, 'all'>; placement: Policy }

/** A change that also gives a jail its place. `records/scripts/admit.lua` says more. */
export type Admission = Change & {
  /** The jail and the id of its provision. */
  name: string
  operation: string
  /** Where names are claimed, and the batch that the jail is of; left out for a jail that has its name already. */
  newName?: { claims: string; batches: string; batch?: string }
  /** For an operation that moves: what binds it to its old host, and its moves so far. What its jail keeps is not released. */
  binding?: string
  move?: Pick<Move, 'at' | 'from' | 'reason'>
  moves?: Move[]
}

export type Place = Pick<Jail, 'host' | 'limits' | 'epoch'> & { leases: Lease[]; worldDigest: string }
export type PlaceAnswer =
  | { type: 'done'; place: Place; revisions: number[] }
  | { type: 'replayed'; operation: string }
  | { type: 'taken'; operation: string }
  | { type: 'claimed'; batch: string }
  | { type: 'reused' | 'changed' | 'bound' }

// Nearly always the first one takes the jail; one call of the script holds Redis for all that it is given.
const groupSizes = [3, 50]

/**
 * Gives a jail to the first of the hosts that could take it and has what it asks for, or changes nothing.
 * @throws ProvostError why no host takes it: `no_capacity`, `no_free_address`, `no_suitable_host`, …
 */
export async function placeJail(
  { scripts, keys, ...hosts }: Store & Hosts,
  ask: CreateJail,
  admission: Admission,
): Promise<PlaceAnswer> {
  const { name, operation } = admission
  const { candidates, refusals, failure } = choose(ask, hosts)
  const refused: Refusal[] = []
  for (const group of groupsOf(candidates)) {
    const input = {
      ...admission,
      jail: keys.jail(name),
      operation: keys.operation(operation),
      candidates: group.map((candidate) => ({
        ...candidateInput(candidate, keys),
        commands: [...placeOnHost(name, candidate.host.id, candidate, keys), ...giveToHost(operation, candidate.host.id, keys)],
      })),
    }
    const [type, ...rest] = await counted(group[0]?.host, () =>
      scripts.admit([keys.eventSequence, keys.events, keys.leases, keys.epoch], JSON.stringify(input)),
    )
    switch (type) {
      case 'done':
        return { type, ...placeFrom(rest, group) }
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
    // A request that is refused may still be a replay: only the script knows.
    if (failure) throw failure
    const answers = JSON.parse(rest[0] ?? '[]') as [host: string, code: string, what: string][]
    refused.push(...answers.map((answer) => refusalFrom(...answer)))
  }
  throw refusalError([...refusals(), ...refused])
}

/** Counts an operation on a host while it is asked: jails that are asked for at the same moment are to be spread. */
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

/** Yields at least one group, if only an empty one. */
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

function placeFrom([host, leases = '[]', epoch, ...revisions]: string[], group: Candidate[]) {
  const chosen = group.find((candidate) => candidate.host.id === host)
  if (!chosen) throw new Error(`The admission script chose ${host}, which it was not offered.`)
  const { limits, worldDigest } = chosen
  const place: Place = {
    host: chosen.host.id,
    leases: (JSON.parse(leases) as unknown[]).map((lease) => Lease.parse(lease)),
    limits,
    worldDigest,
    epoch: Number(epoch),
  }
  return { place, revisions: revisions.map(Number) }
}
