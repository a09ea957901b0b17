import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { JailFacts, mustBeOnHost, readFacts } from '#shared/redis/record-facts.ts'

const pageSize = 500

type Deps = { hostId: string; redis: Redis; keys: RedisKeys }

/** Returns the names of the jails that the fleet's records have on this host. */
export function namesOfRecords({ hostId, redis, keys }: Deps): Promise<string[]> {
  return redis.zrange(keys.jails('host', hostId), '0', '-1')
}

/** Returns, by name, the jails of which something must be on this host as the fleet's records have it. */
export async function recordedJails(deps: Deps): Promise<Map<string, JailFacts>> {
  const { hostId, redis, keys } = deps
  const names = await namesOfRecords(deps)
  const jails = new Map<string, JailFacts>()
  for (let from = 0; from < names.length; from += pageSize) {
    const page = names.slice(from, from + pageSize)
    const records = await readFacts(redis, JailFacts, page.map(keys.jail))
    for (const [i, record] of records.entries())
      if (record?.host === hostId && mustBeOnHost(record)) jails.set(page[i] as string, record)
  }
  return jails
}
