import { z } from 'zod'
import { invalid } from './http-errors.ts'

/** How every list is asked for: at most `limit` items, after the last one of the page that gave `cursor`. */
export const PageQuery = {
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().min(1).max(512).optional(),
}

export const pageSchema = <S extends z.ZodType>(item: S) => z.object({ items: z.array(item), nextCursor: z.string().nullable() })

type Page<T> = { items: T[]; nextCursor: string | null }

export function encodeCursor(member: string): string {
  return Buffer.from(member).toString('base64url')
}

/** @throws ProvostError `invalid_request` for a cursor that no page gave. */
export function decodeCursor(cursor: string): string {
  const member = Buffer.from(cursor, 'base64url').toString()
  if (!/^[a-z0-9._-]{1,128}$/.test(member))
    throw invalid([{ field: 'cursor', message: 'is not one that a page gave as nextCursor' }])
  return member
}

/**
 * One page out of a sorted source. `fetch` gives the names after `after`, in order, at most `count`; `read` gives their
 * records that the caller wants to see.
 */
export async function collectPage<R>(
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  fetch: (after: string | undefined, count: number) => Promise<string[]>,
  read: (names: string[]) => Promise<{ name: string; record: R }[]>,
): Promise<Page<R>> {
  const found: { name: string; record: R }[] = []
  let after = cursor === undefined ? undefined : decodeCursor(cursor)
  for (;;) {
    const names = await fetch(after, limit + 1)
    found.push(...(await read(names)))
    if (found.length > limit || names.length <= limit) break
    after = names.at(-1)
  }
  const page = found.slice(0, limit)
  const last = page.at(-1)
  return { items: page.map(({ record }) => record), nextCursor: found.length > limit && last ? encodeCursor(last.name) : null }
}

/** One page of what is known here, by name. */
export function pageOfNames<R>(query: { limit: number; cursor?: string | undefined }, all: Map<string, R>): Promise<Page<R>> {
  const names = [...all.keys()].sort()
  return collectPage(
    query,
    async (after, count) => names.filter((name) => after === undefined || name > after).slice(0, count),
    async (page) => page.flatMap((name) => (all.has(name) ? [{ name, record: all.get(name) as R }] : [])),
  )
}
