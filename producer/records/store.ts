import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { makeSecrets, type Secrets } from '../secrets/secrets.ts'
import { openRecords, type Records } from './records.ts'
import { openScripts, type Scripts } from './scripts.ts'

/** Where the fleet is stored: a connection, the names of its keys, and the functions that read and write records; `secrets`: what is signed with. */
export type Store = { redis: Redis; keys: RedisKeys; records: Records; scripts: Scripts; secrets: Secrets }

export function openStore(redis: Redis, keys: RedisKeys, log?: Pick<Logger, 'error'>, secrets = makeSecrets()): Store {
  return { redis, keys, records: openRecords(redis, keys, log), scripts: openScripts(redis, keys), secrets }
}
