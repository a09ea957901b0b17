import { isDeepStrictEqual } from 'node:util'
import { type CreateJail, defaultHostname } from '#shared/jail.ts'
import { formatAddress, parseBlock } from '#shared/network/addresses.ts'
import type { JailRecord } from '../../records/jails/jail-record.ts'

/** Whether an existing jail is what a request asks for, and is not lost. What the request leaves out may be anything. */
export function matchesRequest(jail: JailRecord, ask: CreateJail): boolean {
  const leased = new Set(jail.leases.map(([address]) => address))
  return (
    !isLost(jail) &&
    jail.client === ask.client &&
    (ask.clientName === undefined || jail.clientName === ask.clientName) &&
    jail.world === ask.world &&
    jail.hostname === (ask.hostname ?? defaultHostname(ask.name)) &&
    (ask.host === undefined || jail.host === ask.host) &&
    (ask.addresses ?? []).every((address) => leased.has(canonicalAddress(address))) &&
    Object.entries(ask.limits ?? {}).every(
      ([name, limit]) => limit === undefined || jail.limits[name as keyof typeof jail.limits] === limit,
    ) &&
    (jail.privileges?.setuid ?? false) === (ask.privileges?.setuid ?? false) &&
    isDeepStrictEqual(jail.command, ask.command) &&
    isDeepStrictEqual(jail.labels, ask.labels ?? {})
  )
}

/** Whether a jail could not be made, or is being removed: then whoever asked for it does not have it. */
export function isLost({ state }: Pick<JailRecord, 'state'>): boolean {
  return state === 'failed' || state === 'destroying'
}

/** Returns an address in the form of leases: without a prefix length, in the canonical notation of its family. */
export function canonicalAddress(address: string): string {
  const { family, value } = parseBlock(address)
  return formatAddress(family, value)
}
