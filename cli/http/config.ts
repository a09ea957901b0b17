import { z } from 'zod'
import { readConfig } from '#shared/process/read-config.ts'

const Environment = z.object({
  PROVOST_URL: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' }).default('http://127.0.0.1:7070'),
  PROVOST_API_KEY: z
    .string({ error: 'is not set. Set it to a key of the fleet; `provost dev` prints the one it made.' })
    .min(1, 'is empty. Set it to a key of the fleet.'),
})

export type ClientConfig = { url: string; key: string }

/** Reads the address of the producer and the key for it. @throws ConfigError with every fault of the environment */
export function readClientConfig(environment: NodeJS.ProcessEnv): ClientConfig {
  const env = readConfig(Environment, environment, 'The environment')
  return { url: env.PROVOST_URL.replace(/\/+$/, ''), key: env.PROVOST_API_KEY }
}
