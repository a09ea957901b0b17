import { z } from 'zod'
import { PlainName } from '#shared/jail.ts'
import { ConfigError, readConfig, readConfigFile } from '#shared/process/read-config.ts'
import { scaledTiming, TimeScale, type Timing } from '#shared/process/timing.ts'
import { RedisUrl } from '#shared/redis/redis-url.ts'
import { Signatures } from '#shared/signing/mode.ts'
import { type PublicUrl, readPublicUrl } from './http/public-url.ts'

const ProducerFile = z.strictObject({
  /** The hosts that belong to the fleet; if none is named, every host that enrols does. */
  hosts: z.array(PlainName).default([]),
  /** Whether jails go to the emptiest host, or fill one host after the other. */
  placement: z.enum(['spread', 'pack']).default('spread'),
})

const Environment = z.object({
  PROVOST_REDIS_URL: RedisUrl.default('redis://127.0.0.1:6379'),
  PROVOST_REDIS_PREFIX: z.string().min(1).default('{provost}'),
  PROVOST_LISTEN: z
    .string()
    .regex(/^(\[[0-9a-fA-F:]+\]|[^:]+):\d{1,5}$/, 'must be ADDRESS:PORT, like 127.0.0.1:7070')
    .default('127.0.0.1:7070'),
  PROVOST_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be the http:// or https:// address that people use' })
    .optional(),
  PROVOST_API_KEY: z
    .string({ error: 'must be set: it is the key that requests carry' })
    .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters, without spaces'),
  PROVOST_PRODUCER_CONFIG: z.string().min(1).optional(),
  /** The directory of the producer's secrets. */
  PROVOST_SECRETS: z.string().min(1).default('/var/db/provost/producer'),
  PROVOST_SIGNATURES: Signatures,
  PROVOST_TIME_SCALE: TimeScale,
  PROVOST_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export type ProducerConfig = z.output<typeof ProducerFile> & {
  redisUrl: string
  redisPrefix: string
  listen: { host: string; port: number }
  /** The listener's own address unless it is given. */
  publicUrl?: PublicUrl
  apiKey: string
  logLevel: string
  /** The directory of its secrets. */
  secrets: string
  signatures: Signatures
  timing: Timing
}

/** Reads the configuration. @throws ConfigError naming every fault of the environment or of the file. */
export function readProducerConfig(environment: NodeJS.ProcessEnv, file?: string): ProducerConfig {
  const env = readConfig(Environment, environment, 'The environment')
  const path = file ?? env.PROVOST_PRODUCER_CONFIG
  const config = path ? readConfigFile(ProducerFile, path) : readConfig(ProducerFile, {}, 'The configuration')
  const at = env.PROVOST_LISTEN.lastIndexOf(':')
  const port = Number(env.PROVOST_LISTEN.slice(at + 1))
  if (port > 65_535) throw new ConfigError(`PROVOST_LISTEN: ${port} is no port.`)
  return {
    ...config,
    redisUrl: env.PROVOST_REDIS_URL,
    redisPrefix: env.PROVOST_REDIS_PREFIX,
    listen: { host: env.PROVOST_LISTEN.slice(0, at).replace(/^\[|\]$/g, ''), port },
    publicUrl: readPublicUrl(env.PROVOST_PUBLIC_URL),
    apiKey: env.PROVOST_API_KEY,
    logLevel: env.PROVOST_LOG_LEVEL,
    secrets: env.PROVOST_SECRETS,
    signatures: env.PROVOST_SIGNATURES,
    timing: scaledTiming(env.PROVOST_TIME_SCALE),
  }
}
