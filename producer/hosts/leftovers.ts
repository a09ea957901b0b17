import { ProvostError } from '#shared/errors.ts'
import { Leftover } from '#shared/host.ts'
import type { HostNotice } from '#shared/job.ts'
import type { Store } from '../records/store.ts'
import { readHostNotes } from './read-host-notes.ts'

/** Returns what a host says it could not remove, by the names of its jails. */
export function readLeftovers({ redis, keys }: Store, host: string): Promise<Leftover[]> {
  return readHostNotes(redis, keys.hostLeftovers(host), Leftover)
}

/** Has a host try at once to remove what it could not. @throws ProvostError `host_down` when no worker hears it. */
export async function askToRetryLeftovers({ redis, keys }: Store, host: string): Promise<void> {
  const notice: HostNotice = { type: 'retry-leftovers' }
  const heard = await redis.publish(keys.notices(host), JSON.stringify(notice))
  if (heard === 0) throw new ProvostError('host_down', `No worker of host ${host} is there to try it.`)
}
