import { z } from 'zod'

/** A JSON text in a hash's field. */
export const json = <S extends z.ZodType>(schema: S) =>
  z
    .string()
    .transform((text) => JSON.parse(text))
    .pipe(schema)
export const integer = z.coerce.number().int()
export const nullable = <S extends z.ZodType>(schema: S) => z.union([z.literal('').transform(() => null), schema])

/** A record's fields as they go into its hash: names and values in turn; what is undefined is left out. */
export function toFields(record: object): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (value === null) return [name, '']
    return [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]
  })
}

/** Other facts of a record; one that is given as undefined is removed. */
export type Facts<R> = { [Name in keyof R]?: R[Name] | undefined }

/** Returns a record as it is with other facts. */
export function withFacts<R extends object>(before: R, facts: Facts<R>): R {
  return Object.fromEntries(Object.entries({ ...before, ...facts }).filter(([, value]) => value !== undefined)) as R
}

/** The commands that set fields of a record, and remove those that are given as undefined, as far as it has them. */
export function setFields(key: string, facts: object, before: object): string[][] {
  const written = toFields(facts)
  const removed = Object.entries(facts).flatMap(([name, value]) => (value === undefined && name in before ? [name] : []))
  return [...(written.length > 0 ? [['HSET', key, ...written]] : []), ...(removed.length > 0 ? [['HDEL', key, ...removed]] : [])]
}
