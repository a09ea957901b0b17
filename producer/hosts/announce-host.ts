import type { Logger } from 'pino'
import type { Store } from '../records/store.ts'

/** Adds an event that a host has changed. */
export async function announceHost({ scripts, log }: Store & { log: Logger }, id: string): Promise<void> {
  await scripts
    .commit({ unchanged: [], commands: [], events: [['host', id, '']] })
    .catch((error) => log.warn({ err: error.message }, 'host event'))
}
