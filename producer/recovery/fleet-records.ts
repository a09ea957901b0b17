import type { Redis } from 'ioredis'
import { v7 as uuid } from 'uuid'
import { FleetHost, Upload } from '#shared/recovery.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'

type Deps = { redis: Redis; keys: RedisKeys }

/** `hasLost`: its records were lost once. `wereExpected`: it was known then which hosts there are. */
export type Fleet = { id: string; foundedAtMs: number; hasLost: boolean; wereExpected: boolean }

export const nothingTaken = { jails: 0, operations: 0, conflicts: [] }
const awaited = JSON.stringify({ state: 'awaited', ...nothingTaken } satisfies FleetHost)

// An older fleet, which has jails and no id, has lost nothing.
const foundScript = `
  if redis.call('HEXISTS', KEYS[1], 'revision') == 1 then return 0 end
  redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'foundedAt', ARGV[2], 'expected', #ARGV - 4)
  if ARGV[3] == '0' and redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
  if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'lost', '1') end
  for i = 5, #ARGV do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[4]) end
  return 1`

/**
 * The fleet that Redis has, founded anew where it has none. `before`: the one that was there at the last look, whose hosts are
 * waited for should it be another now; `members`: those that the configuration names.
 */
export async function findFleet(
  { redis, keys }: Deps,
  before: { id: string; hosts: string[] },
  members: string[],
): Promise<Fleet> {
  const found = await redis.hget(keys.fleet, 'revision')
  if (!found) {
    const expected = [...new Set([...members, ...before.hosts])]
    const had = before.id === '' ? 0 : 1
    await redis.eval(foundScript, 3, keys.fleet, keys.fleetHosts, keys.jails(), uuid(), Date.now(), had, awaited, ...expected)
  } else if (before.id !== '' && found !== before.id) {
    for (const id of before.hosts) await redis.hsetnx(keys.fleetHosts, id, awaited)
    await redis.hset(keys.fleet, 'lost', '1', 'expected', before.hosts.length)
  }
  const { revision = '', foundedAt, lost, expected } = await redis.hgetall(keys.fleet)
  return { id: revision, foundedAtMs: Number(foundedAt), hasLost: lost === '1', wereExpected: Number(expected) > 0 }
}

/** By host, how far it is. */
export async function readFleetHosts({ redis, keys }: Deps): Promise<Map<string, FleetHost>> {
  const all = Object.entries(await redis.hgetall(keys.fleetHosts))
  return new Map(all.map(([id, text]) => [id, FleetHost.parse(JSON.parse(text))]))
}

/** By host, what it uploads of its journal for this fleet. */
export async function readUploads({ redis, keys }: Deps, fleet: string, hosts: string[]): Promise<Map<string, Upload>> {
  if (hosts.length === 0) return new Map()
  const texts = await redis.mget(hosts.map(keys.hostUpload))
  const uploads = texts.map((text) => (text === null ? undefined : Upload.parse(JSON.parse(text))))
  return new Map(hosts.flatMap((id, i) => (uploads[i]?.fleet === fleet ? [[id, uploads[i]] as const] : [])))
}
