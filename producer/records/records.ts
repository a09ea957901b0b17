import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { answersOf } from '#shared/redis/transactions.ts'
import { type JailRecord, jailFromFields } from './jails/jail-record.ts'
import { type OperationRecord, operationFromFields } from './operations/operation-record.ts'

type Fields = Record<string, string>

export type Records = ReturnType<typeof openRecords>

/** Reads records; only scripts write them. A record that cannot be parsed is left out of lists, and logged once. */
export function openRecords(redis: Redis, keys: RedisKeys, log?: Pick<Logger, 'error'>) {
  const unreadable = new Set<string>()

  async function readAll(all: string[]): Promise<{ key: string; fields: Fields }[]> {
    if (all.length === 0) return []
    const pipeline = redis.pipeline()
    for (const key of all) pipeline.hgetall(key)
    return (await answersOf(pipeline)).flatMap((fields, i) => {
      const key = all[i] ?? ''
      return Object.keys(fields as object).length === 0 ? [] : [{ key, fields: fields as Fields }]
    })
  }

  async function readOne<T>(key: string, parse: (fields: Fields) => T): Promise<T | undefined> {
    const [record] = await readAll([key])
    return record && parse(record.fields)
  }

  async function readMany<T>(all: string[], parse: (fields: Fields) => T): Promise<T[]> {
    return (await readAll(all)).flatMap(({ key, fields }) => {
      try {
        return [parse(fields)]
      } catch (error) {
        if (!unreadable.has(key)) log?.error({ err: error, key }, 'a record cannot be read; lists leave it out')
        unreadable.add(key)
        return []
      }
    })
  }

  return {
    jail: (name: string): Promise<JailRecord | undefined> => readOne(keys.jail(name), jailFromFields),
    operation: (id: string): Promise<OperationRecord | undefined> => readOne(keys.operation(id), operationFromFields),
    /** Returns the jail that an operation is about, if it belongs to the fleet and still has a record. */
    async jailOf({ jail, orphan }: Pick<OperationRecord, 'jail' | 'orphan'>): Promise<JailRecord | null> {
      return jail === null || orphan ? null : ((await readOne(keys.jail(jail), jailFromFields)) ?? null)
    },
    jails: (names: string[]) => readMany(names.map(keys.jail), jailFromFields),
    operations: (ids: string[]) => readMany(ids.map(keys.operation), operationFromFields),
  }
}
