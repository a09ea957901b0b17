import { isDeepStrictEqual } from 'node:util'
import { type CreateJail, defaultHostname } from '#shared/jail.ts'
import { formatAddress, parseBlock } from '#shared/network/addresses.ts'
import type { JailRecord } from '../../records/jails/jail-record.ts'

/** Whether a jail is what was asked for, and is to stay. What was left open may be anything. */
export function isAsAsked(jail: JailRecord, ask: CreateJail): boolean {
  const leased = new Set(jail.leases.map(([address]) => address))
  return (
    !isLost(jail) &&
    jail.client === ask.client &&
    jail.world === ask.world &&
    jail.hostname === (ask.hostname ?? defaultHostname(ask.name)) &&
    (ask.host === undefined || jail.host === ask.host) &&
    (ask.addresses ?? []).every((address) => leased.has(bare(address))) &&
    Object.entries(ask.limits ?? {}).every(
      ([name, limit]) => limit === undefined || jail.limits[name as keyof typeof jail.limits] === limit,
    ) &&
    isDeepStrictEqual(jail.command, ask.command) &&
    isDeepStrictEqual(jail.labels, ask.labels ?? {})
  )
}

/** A jail that was not made, or is being removed: who asks for it does not have it. */
export function isLost({ state }: Pick<JailRecord, 'state'>): boolean {
  return state === 'failed' || state === 'destroying'
}

/** As leases are written: without a prefix, in the one form of its family. */
export function bare(address: string): string {
  const { family, value } = parseBlock(address)
  return formatAddress(family, value)
}
