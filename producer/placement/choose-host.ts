import { canonicalCidr, contains, parseBlock } from '#shared/addresses.ts'
import { type ErrorCode, ProvostError } from '#shared/errors.ts'
import type { Host, HostReport, Pool } from '#shared/host.ts'
import type { CreateJail, Limits } from '#shared/jail.ts'

/** A host as placement sees it: what HTTP shows, and what the worker's report says beyond that. */
export type PlacementHost = Host & Pick<HostReport, 'defaults' | 'supports'>

/** What a host may be asked to lease: of each list one address. */
export type Wanted = ({ pool: Pool } | { pool: Pool; address: string })[]

export type Candidate = { host: PlacementHost; limits: Limits; worldDigest: string; wanted: Wanted[] }
export type Refusal = { host: string; code: ErrorCode; detail: string }
export type Placement = { candidates: Candidate[]; refusals: Refusal[] }

/**
 * Which hosts could take a jail, the best first, and why each other one cannot. Pure: what a host has left to promise and
 * which addresses are free is decided when the jail is admitted.
 *
 * @throws ProvostError `unknown_host`, when the one asked for is not in the fleet.
 */
export function chooseHosts(ask: CreateJail, hosts: PlacementHost[], policy: 'spread' | 'pack'): Placement {
  if (ask.host && !hosts.some(({ id }) => id === ask.host))
    throw new ProvostError('unknown_host', `No host of the fleet is called ${ask.host}.`)
  const considered = ask.host ? hosts.filter(({ id }) => id === ask.host) : hosts
  const refusals: Refusal[] = []
  const candidates: Candidate[] = []
  for (const host of considered) {
    const answer = considerHost(ask, host)
    if ('code' in answer) refusals.push(answer)
    else candidates.push(answer)
  }
  return { candidates: candidates.sort(byPreference(ask.world, policy)), refusals }
}

function considerHost(ask: CreateJail, host: PlacementHost): Candidate | Refusal {
  const refuse = (code: ErrorCode, detail: string): Refusal => ({ host: host.id, code, detail })
  if (host.state !== 'up') return refuse('no_suitable_host', `is ${host.state}${host.reason ? ` (${host.reason})` : ''}`)
  const world = host.worlds.find(({ name }) => name === ask.world)
  if (!world) return refuse('unknown_world', `does not offer world ${ask.world}`)
  if (ask.limits?.disk !== undefined && !host.supports.diskLimit)
    return refuse('unsupported_limit', 'cannot hold a limit of disk')

  const limits: Limits = { ...host.defaults, ...defined(ask.limits ?? {}) }
  const short = (['memory', 'cpu', 'disk'] as const).find(
    (resource) => (limits[resource] ?? 0) > (host.capacity[resource] ?? Number.POSITIVE_INFINITY),
  )
  if (short) return refuse('no_capacity', `has not enough ${short} left to promise`)

  const wanted = wantedAddresses(ask, host)
  if (typeof wanted === 'string') return refuse('address_not_in_pool', wanted)
  return { host, limits, worldDigest: world.digest, wanted }
}

/** The asked addresses, or a free one of each family that the host's pools have; a text says what is wrong. */
function wantedAddresses(ask: CreateJail, host: PlacementHost): Wanted[] | string {
  if (!ask.addresses) {
    const families = ([4, 6] as const).map((family) => host.pools.filter(({ cidr }) => parseBlock(cidr).family === family))
    return families.filter((pools) => pools.length > 0).map((pools) => pools.map((pool) => ({ pool })))
  }
  const wanted: Wanted[] = []
  for (const address of ask.addresses) {
    const asked = parseBlock(address)
    const pool = host.pools.find(({ cidr }) => contains(parseBlock(cidr), asked))
    if (!pool) return `has no pool that ${address} is in`
    if (address.includes('/') && asked.prefix !== parseBlock(pool.cidr).prefix)
      return `has ${address} in pool ${pool.cidr}, whose prefix is /${parseBlock(pool.cidr).prefix}`
    wanted.push([{ pool, address }])
  }
  return wanted
}

/** World ready, fewest builds under way, lowest promised share (or highest, to pack), name. */
function byPreference(world: string, policy: 'spread' | 'pack') {
  const share = ({ promised, capacity }: PlacementHost) =>
    Math.max(promised.memory / capacity.memory, promised.cpu / capacity.cpu, promised.jails / capacity.jails)
  const unready = (host: PlacementHost) => (host.worlds.some(({ name, state }) => name === world && state === 'ready') ? 0 : 1)
  const direction = policy === 'spread' ? 1 : -1
  return ({ host: a }: Candidate, { host: b }: Candidate) =>
    unready(a) - unready(b) || a.load.builds - b.load.builds || direction * (share(a) - share(b)) || (a.id < b.id ? -1 : 1)
}

/**
 * The one answer to a caller from all hosts' refusals: their common reason, or that they differ.
 * @returns ProvostError with the code that all share, or `no_suitable_host`.
 */
export function refusalError(refusals: Refusal[]): ProvostError {
  if (refusals.length === 0) return new ProvostError('no_suitable_host', 'No host has enrolled in this fleet yet.')
  const codes = new Set(refusals.map(({ code }) => code))
  const [code] = codes
  const each = refusals.map(({ host, detail }) => `host ${host} ${detail}`)
  const shown = each.length > 20 ? [...each.slice(0, 20), `and ${each.length - 20} more`] : each
  return new ProvostError(codes.size === 1 && code ? code : 'no_suitable_host', `No host can take the jail: ${shown.join('; ')}.`)
}

/** Pools of one CIDR and name are one pool, shared by their hosts; any other overlap between hosts is a fault of the later. */
export function poolConflict(host: HostReport, others: HostReport[]): string | undefined {
  for (const pool of host.pools)
    for (const other of others)
      for (const known of other.pools) {
        if (known.name === pool.name && canonicalCidr(known.cidr) === canonicalCidr(pool.cidr)) continue
        const [a, b] = [parseBlock(pool.cidr), parseBlock(known.cidr)]
        if (contains(a, b) || contains(b, a)) return `pool ${pool.cidr} overlaps pool ${known.cidr} of host ${other.id}`
      }
  return undefined
}

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never
}
