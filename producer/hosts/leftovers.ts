import { ProvostError } from '#shared/errors.ts'
import { Leftover } from '#shared/host.ts'
import { sendNotice } from '../queues/send-notice.ts'
import type { Store } from '../records/store.ts'
import { readHostNotes } from './read-host-notes.ts'

/** Returns what a host could not remove, ordered by the names of its jails. */
export function readLeftovers({ redis, keys }: Store, host: string): Promise<Leftover[]> {
  return readHostNotes(redis, keys.hostLeftovers(host), Leftover)
}

/** Makes a host retry at once to remove its leftovers. @throws ProvostError `host_down` when no worker receives the notice. */
export async function retryLeftovers(store: Store, host: string): Promise<void> {
  const receivers = await sendNotice(store, host, { type: 'retry-leftovers' })
  if (receivers === 0) throw new ProvostError('host_down', `No worker of host ${host} is there to try it.`)
}
