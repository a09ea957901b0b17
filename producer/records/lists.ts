import type { Redis } from 'ioredis'

/** The commands that put a member into lists, which are sorted sets in the order of their members. */
export function enter(lists: string[], member: string): string[][] {
  return lists.map((list) => ['ZADD', list, '0', member])
}

/** The commands that take a member out of lists. */
export function leave(lists: string[], member: string): string[][] {
  return lists.map((list) => ['ZREM', list, member])
}

/** The commands for a member that stands in other lists from now on; none where it stays. */
export function move(before: string[], after: string[], member: string): string[][] {
  return [
    ...leave(
      before.filter((list) => !after.includes(list)),
      member,
    ),
    ...enter(
      after.filter((list) => !before.includes(list)),
      member,
    ),
  ]
}

type Page = { /** The last member of the page before. */ after?: string | undefined; count: number }

/** Returns the next members of a list, in their order. */
export function pageOf(redis: Redis, list: string, { after, count }: Page): Promise<string[]> {
  return redis.zrangebylex(list, after === undefined ? '-' : `(${after}`, '+', 'LIMIT', 0, count)
}

/** The same from its end: ids of operations and of batches rise with time, so the newest come first. */
export function newestOf(redis: Redis, list: string, { after, count }: Page): Promise<string[]> {
  return redis.zrevrangebylex(list, after === undefined ? '+' : `(${after}`, '-', 'LIMIT', 0, count)
}

/** Yields all members of a list, some at a time. What comes or goes meanwhile may be met or missed. */
export async function* pagesOf(redis: Redis, list: string, count: number): AsyncGenerator<string[]> {
  let after: string | undefined
  do {
    const page = await pageOf(redis, list, { after, count })
    if (page.length > 0) yield page
    after = page.length < count ? undefined : page.at(-1)
  } while (after !== undefined)
}
