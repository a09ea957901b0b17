import { pino } from 'pino'
import { repeat } from '#shared/process/repeat.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { openHostRegistry } from '../../../producer/hosts/host-registry.ts'
import { readPublicUrl } from '../../../producer/http/public-url.ts'
import type { Store } from '../../../producer/records/store.ts'
import { watchWrites } from '../../../producer/records/watch-writes.ts'
import { startProducer } from '../../../producer/start-producer.ts'
import type { TestRedis } from '../redis/redis-test.ts'
import { apiKey } from './client.ts'

/** Of what a test runs in its own process. */
export const log = pino({ level: process.env['PROVOST_LOG_LEVEL'] ?? 'silent' })

/** A producer in this process, on a free port. `hosts`: those that its configuration names. */
export function startTestProducer(
  { url, prefix }: TestRedis,
  timing = standardTiming,
  { hosts = [] as string[], publicUrl = undefined as string | undefined, logger = log } = {},
) {
  const listen = { host: '127.0.0.1', port: 0 }
  const config = {
    hosts,
    placement: 'spread',
    listen,
    apiKey,
    logLevel: 'silent',
    timing,
    publicUrl: readPublicUrl(publicUrl),
  } as const
  return startProducer({ ...config, redisUrl: url, redisPrefix: prefix }, logger)
}

/** The hosts as a producer sees them, without one. */
export function openTestRegistry(store: Store, onChange: (host: string) => void = () => undefined) {
  return openHostRegistry({
    ...store,
    log,
    repeat,
    members: [],
    timing: standardTiming,
    writes: watchWrites(store, standardTiming.silence),
    onChange,
  })
}
