import { v7 as uuid } from 'uuid'
import { FleetHost, Upload } from '#shared/recovery.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { jailList } from '../records/jails/jail-lists.ts'
import type { Store } from '../records/store.ts'

/** `hasLost`: its records were lost once. `wereExpected`: the hosts to wait for were known then. */
export type Fleet = { id: string; foundedAtMs: number; hasLost: boolean; wereExpected: boolean }

export const nothingTaken = { jails: 0, operations: 0, conflicts: [] }
export const awaited = JSON.stringify({ state: 'awaited', ...nothingTaken } satisfies FleetHost)

/**
 * Returns the fleet in Redis, and creates one if there is none. `before`: the fleet at the last look, if there was one: its hosts
 * are waited for if the fleet is another one now. `members`: the hosts that the configuration names.
 */
export async function openFleetRecord(
  { redis, keys, scripts }: Store,
  before: { id: string | undefined; hosts: string[] },
  members: string[],
): Promise<Fleet> {
  const known = await redis.hget(keys.fleet, 'id')
  if (known === null) {
    const had = before.id !== undefined
    const input = {
      id: uuid(),
      foundedAt: String(fleetTimeMs()),
      had,
      hosts: [...new Set([...members, ...before.hosts])],
      awaited,
    }
    await scripts.createFleet([keys.fleet, keys.fleetHosts, jailList('all', keys), keys.leases], JSON.stringify(input))
  } else if (before.id !== undefined && known !== before.id) {
    for (const id of before.hosts) await redis.hsetnx(keys.fleetHosts, id, awaited)
    await redis.hset(keys.fleet, 'lost', '1', 'expected', before.hosts.length)
  }
  const { id = '', foundedAt, lost, expected } = await redis.hgetall(keys.fleet)
  return { id, foundedAtMs: Number(foundedAt), hasLost: lost === '1', wereExpected: Number(expected) > 0 }
}

/** Returns the recovery state of each host. */
export async function readFleetHosts({ redis, keys }: Store): Promise<Map<string, FleetHost>> {
  const all = Object.entries(await redis.hgetall(keys.fleetHosts))
  return new Map(all.map(([id, text]) => [id, FleetHost.parse(JSON.parse(text))]))
}

/** Returns the upload that each host makes of its journal for this fleet. */
export async function readUploads({ redis, keys }: Store, fleet: string, hosts: string[]): Promise<Map<string, Upload>> {
  if (hosts.length === 0) return new Map()
  const texts = await redis.mget(hosts.map(keys.hostUpload))
  const uploads = texts.map((text) => (text === null ? undefined : Upload.parse(JSON.parse(text))))
  return new Map(hosts.flatMap((id, i) => (uploads[i]?.fleet === fleet ? [[id, uploads[i]] as const] : [])))
}
