import { z } from 'zod'
import { invalid } from '../http-errors.ts'

/** Query parameters of every list: at most `limit` items, after the last one of the page that returned `cursor`. */
export const PageQuery = {
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().min(1).max(512).optional(),
}
export const ListQuery = z.strictObject(PageQuery)

export const pageSchema = <S extends z.ZodType>(item: S) => z.object({ items: z.array(item), nextCursor: z.string().nullable() })

type Page<T> = { items: T[]; nextCursor: string | null }

/** @throws ProvostError `invalid_request` for what cannot be a cursor of a page. */
function decodeCursor(cursor: string): string {
  const member = Buffer.from(cursor, 'base64url').toString()
  if (!/^[a-z0-9._-]{1,128}$/.test(member))
    throw invalid([{ field: 'cursor', message: 'is not one that a page gave as nextCursor' }])
  return member
}

/**
 * Collects a page of a sorted source. `fetch` returns at most `count` names after `after`, in order; `read` returns those of
 * their records that match the query.
 */
export async function collectPage<R>(
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  fetch: (after: string | undefined, count: number) => Promise<string[]>,
  read: (names: string[]) => Promise<{ name: string; record: R }[]>,
): Promise<Page<R>> {
  const matching: { name: string; record: R }[] = []
  let after = cursor === undefined ? undefined : decodeCursor(cursor)
  for (;;) {
    const names = await fetch(after, limit + 1)
    matching.push(...(await read(names)))
    if (matching.length > limit || names.length <= limit) break
    after = names.at(-1)
  }
  const page = matching.slice(0, limit)
  const last = matching.length > limit ? page.at(-1) : undefined
  const nextCursor = last ? Buffer.from(last.name).toString('base64url') : null
  return { items: page.map(({ record }) => record), nextCursor }
}

/** Returns a page of a map, by name. */
export function pageOfNames<R>(query: { limit: number; cursor?: string | undefined }, all: Map<string, R>): Promise<Page<R>> {
  const names = [...all.keys()].sort()
  return collectPage(
    query,
    async (after, count) => names.filter((name) => after === undefined || name > after).slice(0, count),
    async (page) => page.flatMap((name) => (all.has(name) ? [{ name, record: all.get(name) as R }] : [])),
  )
}
