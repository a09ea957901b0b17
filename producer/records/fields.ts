import { z } from 'zod'

/** JSON in a field of a hash. */
export const json = <S extends z.ZodType>(schema: S) =>
  z
    .string()
    .transform((text) => JSON.parse(text))
    .pipe(schema)
export const integer = z.coerce.number().int()
export const nullable = <S extends z.ZodType>(schema: S) => z.union([z.literal('').transform(() => null), schema])

/** Returns the fields of a record for HSET: names and values in turn, without those that are undefined. */
export function toFields(record: object): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (value === null) return [name, '']
    return [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]
  })
}

/** New values of some of a record's fields; undefined removes a field. */
export type Facts<R> = { [Name in keyof R]?: R[Name] | undefined }

/** Returns a record with some of its fields changed. */
export function withFacts<R extends object>(before: R, facts: Facts<R>): R {
  return Object.fromEntries(Object.entries({ ...before, ...facts }).filter(([, value]) => value !== undefined)) as R
}

/** Returns the commands that set fields of a record, and remove those that are undefined in `facts` and that `before` has. */
export function setFields(key: string, facts: object, before: object): string[][] {
  const written = toFields(facts)
  const removed = Object.entries(facts).flatMap(([name, value]) => (value === undefined && name in before ? [name] : []))
  return [...(written.length > 0 ? [['HSET', key, ...written]] : []), ...(removed.length > 0 ? [['HDEL', key, ...removed]] : [])]
}
