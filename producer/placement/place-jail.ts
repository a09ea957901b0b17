import { type ErrorCode, ProvostError } from '#shared/errors.ts'
import type { CreateJail, Jail } from '#shared/jail.ts'
import type { Move } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { Lease, toFields } from '../records/records.ts'
import type { Idempotency, Scripts } from '../records/scripts.ts'
import {
  type Candidate,
  type Candidates,
  chooseHosts,
  type Placement,
  type PlacementHost,
  type Refusal,
  refusalError,
} from './choose-host.ts'
import { leaseChoices } from './lease-choices.ts'

export type PlaceDeps = {
  scripts: Scripts
  keys: RedisKeys
  hosts(): PlacementHost[]
  placement: 'spread' | 'pack'
  /** The fleet whose hosts these are: nothing new is admitted should Redis have another one by then. */
  fleet?(): string
}

/** A record that a placement writes, and the indexes that it then stands in. */
type WrittenRecord = { kind: 'jail' | 'operation'; key: string; member: string; fields: string[]; indexes: string[] }

/** What is to be true, and what else is done, when a jail gets its place. `scripts/admit.lua` says more. */
export type PlaceInput = {
  name: string
  now: number
  newName: boolean
  /** With `newName`: where names are claimed, and the batch that the jail is of. */
  claim?: { claims: string; batches: string; batch?: string }
  idempotency?: Idempotency | undefined
  unchanged: [key: string, revision: string][]
  binding?: string
  release: [address: string, returnedList: string][]
  move?: Pick<Move, 'at' | 'from' | 'reason'>
  moves?: Move[]
  commands: string[][]
  jail: WrittenRecord
  operation: WrittenRecord
}

export type Placed = {
  host: string
  leases: Lease[]
  limits: Jail['limits']
  worldDigest: string
  epoch: number
  revisions: [string, string]
}
export type PlaceAnswer =
  | { type: 'placed'; placed: Placed }
  | { type: 'replayed'; operation: string }
  | { type: 'taken'; operation: string }
  | { type: 'claimed'; batch: string }
  | { type: 'reused' | 'changed' | 'bound' }

/** How one host would answer. */
export type Trial = {
  host: string
  fits: boolean
  code?: ErrorCode
  detail?: string
  addresses: string[]
  limits: Jail['limits'] | null
}

// Nearly always the first one takes the jail; one call of the script holds Redis for all that it is given.
const groupSizes = [3, 50]

/**
 * Gives a jail to the first of the hosts that could take it and has what it asks for, or changes nothing.
 * @throws ProvostError why no host takes it: `no_capacity`, `no_free_address`, `no_suitable_host`, …
 */
export async function placeJail(ask: CreateJail, input: PlaceInput, deps: PlaceDeps): Promise<PlaceAnswer> {
  const { candidates, refusals, failure } = choose(ask, deps)
  const refused: Refusal[] = []
  for (const group of inGroups(candidates)) {
    const [answer, ...rest] = await counted(group[0]?.host, () =>
      deps.scripts.admit({ ...input, candidates: group.map((each) => toInput(each, deps.keys)) }),
    )
    switch (answer) {
      case 'admitted':
        return { type: 'placed', placed: placedOf(rest, group) }
      case 'replayed':
      case 'taken':
        return { type: answer, operation: rest[0] ?? '' }
      case 'claimed':
        return { type: answer, batch: rest[0] ?? '' }
      case 'reused':
      case 'changed':
      case 'bound':
        return { type: answer }
    }
    // A request that is refused may still be a replay: only the script knows.
    if (failure) throw failure
    const answers = JSON.parse(rest[0] ?? '[]') as [string, Refusal['code'], string][]
    refused.push(...answers.map(([host, code, detail]) => ({ host, code, detail })))
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

/** What each host would answer, the preferred one first. Changes nothing. @throws ProvostError `unknown_host`. */
export async function tryPlaces(ask: CreateJail, input: PlaceInput, deps: PlaceDeps): Promise<Trial[]> {
  const { candidates, refusals, failure } = choose(ask, deps)
  if (failure) throw failure
  const trials: Trial[] = []
  for (const group of inGroups(candidates)) {
    const [, tried = '[]'] = await deps.scripts.admit({
      ...input,
      dryRun: true,
      candidates: group.map((each) => toInput(each, deps.keys)),
    })
    for (const [host, code, detail, leases = []] of JSON.parse(tried) as [string, ErrorCode | '', string, Lease[]?][]) {
      const limits = group.find((candidate) => candidate.host.id === host)?.limits ?? null
      trials.push({ host, fits: code === '', ...(code ? { code, detail } : {}), addresses: leases.map(toCidr), limits })
    }
  }
  const refused = refusals().map(({ host, code, detail }) => ({ host, fits: false, code, detail, addresses: [], limits: null }))
  return [...trials.filter(({ fits }) => fits), ...trials.filter(({ fits }) => !fits), ...refused]
}

const toCidr = ([address, prefix]: Lease) => `${address}/${prefix}`

function choose(ask: CreateJail, { hosts, placement }: PlaceDeps): Placement & { failure?: ProvostError } {
  try {
    return chooseHosts(ask, hosts(), placement)
  } catch (error) {
    if (!(error instanceof ProvostError)) throw error
    return { candidates: { slice: () => [] }, refusals: () => [], failure: error }
  }
}

/** At least one group, if only an empty one. */
function* inGroups(candidates: Candidates): Generator<Candidate[]> {
  let from = 0
  for (let i = 0; ; i += 1) {
    const size = groupSizes[Math.min(i, groupSizes.length - 1)] ?? 1
    const group = candidates.slice(from, from + size)
    if (i > 0 && group.length === 0) return
    yield group
    from += size
  }
}

function toInput({ host, limits, worldDigest, wanted }: Candidate, keys: RedisKeys): object {
  const { jails, memory, cpu, disk } = host.capacity
  return {
    host: host.id,
    alive: keys.hostAlive(host.id),
    promised: keys.promised(host.id),
    jails: keys.jails('host', host.id),
    operations: keys.operations('host', host.id),
    fields: toFields({ limits, worldDigest }),
    capacity: { jails, memory, cpu: Math.round(cpu * 1000), ...(disk === undefined ? {} : { disk }) },
    ask: promiseOf(limits),
    wanted: wanted.map((choices) => leaseChoices(choices, keys)),
  }
}

/** What a jail counts for in its host's ledger; cpu in thousandths of a core. */
export function promiseOf({ memory, cpu, disk }: Jail['limits']) {
  return { jails: 1, memory, cpu: Math.round(cpu * 1000), ...(disk === undefined ? {} : { disk }) }
}

/** The commands that add a jail's promise to its host's ledger. */
export function promise(host: string, limits: Jail['limits'], keys: RedisKeys, sign = 1): string[][] {
  return Object.entries(promiseOf(limits)).map(([resource, amount]) => [
    'HINCRBY',
    keys.promised(host),
    resource,
    String(sign * amount),
  ])
}

/** The commands that take it off again. */
export function unpromise(host: string, limits: Jail['limits'], keys: RedisKeys): string[][] {
  return promise(host, limits, keys, -1)
}

function placedOf(answer: string[], candidates: Candidate[]): Placed {
  const [host, leases = '[]', epoch, jailRevision = '', operationRevision = ''] = answer
  const chosen = candidates.find((candidate) => candidate.host.id === host)
  if (!chosen) throw new Error(`The admission script chose ${host}, which it was not offered.`)
  return {
    host: chosen.host.id,
    leases: (JSON.parse(leases) as unknown[]).map((lease) => Lease.parse(lease)),
    limits: chosen.limits,
    worldDigest: chosen.worldDigest,
    epoch: Number(epoch),
    revisions: [String(jailRevision), String(operationRevision)],
  }
}
