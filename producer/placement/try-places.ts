import type { CreateJail, Limits } from '#shared/jail.ts'
import type { TriedHost } from '../records/scripts.ts'
import type { Store } from '../records/store.ts'
import { type CandidateInput, candidateInput } from './candidate-input.ts'
import { type Candidate, chooseHosts } from './choose-host.ts'
import { groupsOf, type Hosts } from './place-jail.ts'
import { type Refusal, refusalFrom } from './refusals.ts'

/** How one host would answer. */
type Trial = { host: string; fits: true; addresses: string[]; limits: Limits } | ({ fits: false } & Refusal)

/** Returns how each host would answer a request, preferred hosts first. Changes nothing. @throws ProvostError `unknown_host`. */
export async function tryPlaces({ scripts, keys, hosts, placement }: Store & Hosts, ask: CreateJail): Promise<Trial[]> {
  const { candidates, refusals } = chooseHosts(ask, hosts.all(), placement)
  const trials: Trial[] = []
  for (const group of groupsOf(candidates)) {
    const input = { rows: [group.map((candidate) => candidateInput(candidate, keys))], each: true, given: nothingGiven() }
    const [[answers = []]] = await scripts.try([keys.leases], JSON.stringify(input))
    trials.push(...answers.map((answer, i) => trialFrom(answer, group[i])))
  }
  const refused = refusals().map((refusal) => ({ ...refusal, fits: false as const }))
  return [...trials.filter(({ fits }) => fits), ...trials.filter(({ fits }) => !fits), ...refused]
}

function trialFrom([host, code, what, leases = []]: TriedHost, candidate: Candidate | undefined): Trial {
  if (code !== '' || !candidate) return { fits: false, ...refusalFrom(host, code, what) }
  return { host, fits: true, addresses: leases.map(([address, prefix]) => `${address}/${prefix}`), limits: candidate.limits }
}

/** What was given to jails of a dry run so far, by the keys of ledgers and pools. */
type Given = { promised: Record<string, Record<string, number>>; pools: Record<string, object> }
const nothingGiven = (): Given => ({ promised: {}, pools: {} })

/** Where one of several jails would go: the host that takes it, and why those before it do not. */
type TriedJail = { taker: Candidate | undefined; refused: Refusal[] }

/**
 * Returns a function that tries to place several jails, one after another, each on the first host of its group that takes it.
 * What was given to earlier jails, also in earlier calls, is not available to later ones. Changes nothing.
 */
export function openTrials({ scripts, keys }: Store) {
  const given = nothingGiven()

  /** Returns the part of what was given that concerns these hosts. */
  function givenBy(groups: CandidateInput[][]): Given {
    const part = nothingGiven()
    for (const { promised, wanted } of groups.flat()) {
      copyEntry(given.promised, part.promised, promised)
      for (const { pool } of wanted.flat()) copyEntry(given.pools, part.pools, pool)
    }
    return part
  }

  return async function tryNext(groups: Candidate[][]): Promise<TriedJail[]> {
    const rows = groups.map((group) => group.map((candidate) => candidateInput(candidate, keys)))
    const [answers, now] = await scripts.try([keys.leases], JSON.stringify({ rows, each: false, given: givenBy(rows) }))
    const { promised, pools } = JSON.parse(now) as Given
    Object.assign(given.promised, promised)
    Object.assign(given.pools, pools)
    return groups.map((group, i) => {
      const asked = answers[i] ?? []
      const taker = asked.at(-1)?.[1] === '' ? group[asked.length - 1] : undefined
      const refused = asked.flatMap(([host, code, what]) => (code === '' ? [] : [refusalFrom(host, code, what)]))
      return { taker, refused }
    })
  }
}

function copyEntry<V>(from: Record<string, V>, to: Record<string, V>, name: string): void {
  const value = from[name]
  if (value !== undefined) to[name] = value
}
