import { z } from 'zod'
import { readConfig } from '#shared/process/read-config.ts'

const Environment = z.object({
  PROVOST_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' })
    // fetch refuses them, with the whole URL in its message.
    .refine((url) => !hasCredentials(url), 'must have no user and password; the key of the fleet is PROVOST_API_KEY')
    .default('http://127.0.0.1:7070'),
  PROVOST_API_KEY: z
    .string({ error: 'is not set. Set it to a key of the fleet; `provost dev` prints the one it made.' })
    .min(1, 'is empty. Set it to a key of the fleet.')
    // fetch refuses others, with the whole header in its message.
    .regex(/^[\x21-\x7e]*$/, 'must be visible ASCII characters, without spaces'),
})

export type ClientConfig = { url: string; key: string }

/** Reads the address of the producer and the key for it. @throws ConfigError with every fault of the environment */
export function readClientConfig(environment: NodeJS.ProcessEnv): ClientConfig {
  const env = readConfig(Environment, environment, 'The environment')
  return { url: env.PROVOST_URL.replace(/\/+$/, ''), key: env.PROVOST_API_KEY }
}

function hasCredentials(url: string): boolean {
  const parsed = URL.parse(url)
  return parsed !== null && (parsed.username !== '' || parsed.password !== '')
}
