import { resources } from '#shared/host.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { promiseOf, toLedger } from '../records/jails/promises.ts'
import type { Candidate } from './choose-host.ts'
import { leaseChoices } from './lease-choices.ts'

/** A host that could take a jail, as the scripts read it (`records/scripts/includes/give.lua`). */
export function candidateInput({ host, limits, wanted }: Candidate, keys: RedisKeys) {
  const { capacity } = host
  const capacities = new Map(resources.map((resource) => [resource, capacity[resource]]))
  return {
    host: host.id,
    alive: keys.hostAlive(host.id),
    promised: keys.promised(host.id),
    ask: promiseOf(limits).map(([resource, amount]) => {
      const most = capacities.get(resource)
      return [resource, amount, most === undefined ? null : toLedger(resource, most)] as const
    }),
    wanted: wanted.map((choices) => leaseChoices(choices, keys)),
  }
}
export type CandidateInput = ReturnType<typeof candidateInput>
