import type { RedisKeys } from '#shared/redis/keys.ts'
import { promiseOf, toLedger } from '../records/jails/promises.ts'
import type { Candidate } from './choose-host.ts'
import { leaseChoices } from './lease-choices.ts'

export type CandidateInput = ReturnType<typeof candidateInput>

/** Returns a host that could take a jail in the form that the scripts read (`records/scripts/includes/give.lua`). */
export function candidateInput({ host, limits, wanted }: Candidate, keys: RedisKeys) {
  return {
    host: host.id,
    alive: keys.hostAlive(host.id),
    promised: keys.promised(host.id),
    ask: promiseOf(limits).map(([resource, amount]) => {
      const most = host.capacity[resource]
      return [resource, amount, most === undefined ? null : toLedger(resource, most)] as const
    }),
    wanted: wanted.map((choices) => leaseChoices(choices, keys)),
  }
}
