import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { Leftover } from '#shared/host.ts'
import type { HostNotice } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { readNotes } from './read-host-notes.ts'

/** What a host says it could not remove, by the names of its jails. */
export function readLeftovers(redis: Redis, keys: RedisKeys, host: string): Promise<Leftover[]> {
  return readNotes(redis, keys.hostLeftovers(host), Leftover)
}

/** @throws ProvostError `host_down` when no worker hears it. */
export async function askToRetryLeftovers(redis: Redis, keys: RedisKeys, host: string): Promise<void> {
  const notice: HostNotice = { type: 'retry-leftovers' }
  const heard = await redis.publish(keys.notices(host), JSON.stringify(notice))
  if (heard === 0) throw new ProvostError('host_down', `No worker of host ${host} is there to try it.`)
}
