import type { JailSpec } from '#shared/job.ts'
import { bareAddress } from '#shared/network/addresses.ts'
import type { Journal } from './journal.ts'

/** Returns the other jails of a host that have an address of a jail. */
export function neighboursOf(journal: Pick<Journal, 'jails'>, { name, addresses }: JailSpec): JailSpec[] {
  const own = new Set(addresses.map(bareAddress))
  return journal
    .jails()
    .flatMap(({ spec }) => (spec.name !== name && spec.addresses.some((address) => own.has(bareAddress(address))) ? [spec] : []))
}
