import { z } from 'zod'
import type { JailSpec } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { PlacementHost } from '../../placement/placement-host.ts'
import type { Change } from '../../records/change.ts'
import type { JailRecord } from '../../records/jails/jail-record.ts'
import { type Lease, leaseFor } from '../../records/jails/leases.ts'
import type { Store } from '../../records/store.ts'

/** The provision whose jail may still use a held address, and the root that it is on, where the fleet knew its id. */
const Held = z.object({ provision: z.string(), root: z.string().optional() })

/** Returns the commands that note for which jail, on which root of a forgotten host, its addresses are held. */
export function noteHeld({ host, provision, leases }: JailRecord, root: string | null, keys: RedisKeys): string[][] {
  const held = JSON.stringify({ provision, ...(root === null ? {} : { root }) } satisfies z.infer<typeof Held>)
  return leases.map(([address]) => ['HSET', keys.heldFor(host), address, held])
}

/** Returns the addresses of a host that are held for jails on another root than it has now: they are not among its orphans. */
export async function heldOnOtherRoots({ redis, keys }: Store, host: string): Promise<string[]> {
  const [all, root] = await Promise.all([redis.hgetall(keys.heldFor(host)), redis.get(keys.hostRoot(host))])
  const isOther = (text: string) => {
    const held = Held.parse(JSON.parse(text))
    return held.root !== undefined && held.root !== root
  }
  return Object.keys(all).filter((address) => isOther(all[address] as string))
}

/**
 * Returns the change by which the jail of a provision takes the addresses that are held for it as a jail of another host, which was
 * forgotten: the host has another name now. `holders`: by address, the holder of a lease that it may take.
 */
export async function takeHeld({ redis, keys }: Store, provision: string, leases: Lease[]) {
  const holders = new Map<string, string>()
  const change: Pick<Change, 'unchanged' | 'commands'> = { unchanged: [], commands: [] }
  for (const [address] of leases) {
    const holder = await redis.hget(keys.leases, address)
    const host = holder?.startsWith(keys.forgottenHolder('')) && holder.slice(keys.forgottenHolder('').length)
    const text = host && (await redis.hget(keys.heldFor(host), address))
    if (!holder || !text || Held.parse(JSON.parse(text)).provision !== provision) continue
    holders.set(address, holder)
    change.unchanged.push([keys.heldFor(host), address, text])
    change.commands.push(['HDEL', keys.heldLeases(host), address], ['HDEL', keys.heldFor(host), address])
  }
  return { holders, change }
}

/**
 * Returns the changes by which the addresses of an orphan that are held under another name of its host, which was forgotten, are held
 * under the name that it has now: what becomes of that name, or of the orphan, is to decide about them.
 */
export async function passHeld(
  store: Store,
  { id, pools }: Pick<PlacementHost, 'id' | 'pools'>,
  { provision, addresses }: Pick<JailSpec, 'provision' | 'addresses'>,
): Promise<Partial<Change>[]> {
  const { keys } = store
  const own = keys.forgottenHolder(id)
  const changes: Partial<Change>[] = []
  for (const text of addresses) {
    const lease = leaseFor(text, pools)
    const [address, , cidr] = lease
    const { holders, change } = await takeHeld(store, provision, [lease])
    const holder = holders.get(address)
    if (holder === undefined || holder === own) continue
    const held = [
      ['HSET', keys.heldLeases(id), address, keys.returned(cidr)],
      ['HSET', keys.heldFor(id), address, JSON.stringify({ provision } satisfies z.infer<typeof Held>)],
    ]
    changes.push({ unchanged: change.unchanged, lease: [[address, own, holder]], commands: [...change.commands, ...held] })
  }
  return changes
}
