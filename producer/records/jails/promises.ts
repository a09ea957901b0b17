import { type Resource, resources } from '#shared/host.ts'
import type { Limits } from '#shared/jail.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'

/** Returns an amount in the units of a host's ledger: cores in thousandths, so that all amounts are integers. */
export function toLedger(resource: Resource, amount: number): number {
  return resource === 'cpu' ? Math.round(amount * 1000) : amount
}

export function fromLedgerUnit(resource: Resource, amount: number): number {
  return resource === 'cpu' ? amount / 1000 : amount
}

/** Reads the amounts of a ledger, in the order of `resources`: bytes, cores, counts. */
export function fromLedger(amounts: (string | null)[]): Record<Resource, number> {
  const read = (resource: Resource, i: number) => fromLedgerUnit(resource, Number(amounts[i] ?? 0))
  return Object.fromEntries(resources.map((resource, i) => [resource, read(resource, i)])) as Record<Resource, number>
}

/** Returns the amounts that a jail counts for in its host's ledger. */
export function promiseOf(limits: Limits): [Resource, number][] {
  const amounts: { [R in Resource]?: number | undefined } = { jails: 1, ...limits }
  return resources.flatMap((resource) => {
    const amount = amounts[resource]
    return amount === undefined ? [] : [[resource, toLedger(resource, amount)]]
  })
}

/** Returns the commands that add a jail's promise to its host's ledger. */
export function promise(host: string, limits: Limits, keys: RedisKeys, sign: 1 | -1 = 1): string[][] {
  return promiseOf(limits).map(([resource, amount]) => ['HINCRBY', keys.promised(host), resource, String(sign * amount)])
}

/** Returns the commands that subtract a jail's promise from its host's ledger. */
export function unpromise(host: string, limits: Limits, keys: RedisKeys): string[][] {
  return promise(host, limits, keys, -1)
}
