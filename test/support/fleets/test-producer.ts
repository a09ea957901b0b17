import { pino } from 'pino'
import { repeat } from '#shared/process/repeat.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { certify } from '#shared/signing/certificate.ts'
import { openHostRegistry } from '../../../producer/hosts/host-registry.ts'
import { readPublicUrl } from '../../../producer/http/public-url.ts'
import type { Store } from '../../../producer/records/store.ts'
import { watchWrites } from '../../../producer/records/watch-writes.ts'
import { makeSecrets } from '../../../producer/secrets/secrets.ts'
import { startProducer } from '../../../producer/start-producer.ts'
import { type Identity, identityOf, newHostKey } from '../../../worker/identity/identity.ts'
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
    secrets: '/nonexistent',
    signatures: 'required',
  } as const
  return startProducer({ ...config, redisUrl: url, redisPrefix: prefix }, logger, testSecrets)
}

/** Of all producers of a test. */
export const testSecrets = makeSecrets()

/** What a host has that has joined the fleet of a test's producers. */
export function testIdentity(host: string, secrets = testSecrets): Identity {
  const { privateKey, key } = newHostKey()
  return identityOf({ privateKey, certificate: certify(host, key, secrets.signer, new Date()), signers: secrets.signers })
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
