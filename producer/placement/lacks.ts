import type { ErrorCode } from '#shared/errors.ts'
import type { Resource } from '#shared/host.ts'

/** Why a host cannot take a jail. `detail` goes on from the host's name. */
export type Refusal = { host: string; code: ErrorCode; detail: string }

/** What only the moment of an admission tells of a host, in words. `records/scripts/includes/give.lua` says which. */
const lacks = {
  no_suitable_host: () => 'is down',
  no_capacity: (resource: string) => `has not enough ${resource} left to promise`,
  address_taken: (address: string) => `has leased ${address} to another jail`,
  no_free_address: (cidr: string) => `has no free address in pool ${cidr}`,
} satisfies Partial<Record<ErrorCode, (what: string) => string>>

/** A refusal as the scripts give it. */
export function refusalFrom(host: string, code: string, what: string): Refusal {
  const known = code as keyof typeof lacks
  return { host, code: known, detail: lacks[known](what) }
}

export const lackOf = (resource: Resource): string => lacks.no_capacity(resource)
