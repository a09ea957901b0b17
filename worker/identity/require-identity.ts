import { readFileSync } from 'node:fs'
import { join as pathOf } from 'node:path'
import type { Logger } from 'pino'
import { ConfigError } from '#shared/process/read-config.ts'
import type { WorkerConfig } from '../config/config.ts'
import { type Identity, readIdentity } from './identity.ts'
import { join } from './join.ts'

/** Returns the file that has what a host joined the fleet with. */
export function identityFile({ identity }: Pick<WorkerConfig, 'identity'>, directory: string): string {
  return identity ?? pathOf(directory, 'identity.json')
}

/** @throws ConfigError for a host that has not joined, unless signatures are optional while a fleet is upgraded. */
export async function requireIdentity(config: WorkerConfig, directory: string): Promise<Identity | undefined> {
  const file = identityFile(config, directory)
  const known = readIdentity(file, config.host)
  if (!known && config.joinTokenFile && config.producerUrl) {
    const token = readFileSync(config.joinTokenFile, 'utf8')
    await join(config.producerUrl, token, config.host, file)
  }
  const identity = known ?? readIdentity(file, config.host)
  if (identity || config.signatures === 'optional') return identity
  throw new ConfigError(
    `Host ${config.host} has not joined the fleet: ${file} is not there. Ask ops for a token (provost hosts invite ${config.host}), then run: provost join TOKEN`,
  )
}

/** Returns what counts and logs what this host was told and does not obey. */
export function makeRefusals(log: Pick<Logger, 'error'>) {
  let count = 0
  return {
    count: () => count,
    note(why: string, data: unknown): void {
      count += 1
      const { operation, kind, type, host } = (data ?? {}) as Record<string, unknown>
      log.error({ why, operation, kind, type, host }, 'refused what Redis had for this host')
    },
  }
}
