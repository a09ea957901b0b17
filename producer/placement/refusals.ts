import { type ErrorCode, ProvostError } from '#shared/errors.ts'
import type { Resource } from '#shared/host.ts'
import { formatBytes } from '#shared/size.ts'
import { fromLedgerUnit } from '../records/jails/promises.ts'

/** Why a host cannot take a jail. `detail` continues a sentence that begins with the host's name. */
export type Refusal = { host: string; code: ErrorCode; detail: string }

/** Details of refusals that are only known when a jail is admitted, from the answers of `records/scripts/includes/give.lua`. */
export const admissionDetails = {
  no_suitable_host: () => 'is down',
  no_capacity: shortageText,
  address_taken: (address: string) => `has leased ${address} to another jail`,
  no_free_address: (cidr: string) => `has no free address in pool ${cidr}`,
} satisfies Partial<Record<ErrorCode, (what: string) => string>>

/** `what`: the resource, how much of it is left and how much is needed, as the ledger counts them. */
function shortageText(what: string): string {
  const [resource = '', left = 0, needed = 0] = what.split(' ')
  const name = resource as Resource
  if (name === 'jails') return 'has no room left for a jail'
  const [has, needs] = [left, needed].map((amount) => amountText(name, Math.max(0, Number(amount))))
  return `has ${has} of ${name} left to promise, and the jail needs ${needs}`
}

/** Returns an amount as the ledger counts it, for people. */
export function amountText(resource: Resource, amount: number): string {
  if (resource === 'jails') return String(amount)
  return resource === 'cpu' ? `${fromLedgerUnit(resource, amount)} cores` : formatBytes(amount)
}

/** Returns a refusal by a script. */
export function refusalFrom(host: string, code: string, what: string): Refusal {
  const known = code as keyof typeof admissionDetails
  return { host, code: known, detail: admissionDetails[known](what) }
}

/** Returns the error that sums up the refusals of all hosts, with the code that they share, or `no_suitable_host`. */
export function refusalError(refusals: Refusal[]): ProvostError {
  if (refusals.length === 0) return new ProvostError('no_suitable_host', 'No host has enrolled in this fleet yet.')
  const codes = new Set(refusals.map(({ code }) => code))
  const [code] = codes
  const each = refusals.map(({ host, detail }) => `host ${host} ${detail}`)
  const shown = each.length > 20 ? [...each.slice(0, 20), `and ${each.length - 20} more`] : each
  return new ProvostError(codes.size === 1 && code ? code : 'no_suitable_host', `No host can take the jail: ${shown.join('; ')}.`)
}
