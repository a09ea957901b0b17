import type { Redis } from 'ioredis'

/** Returns the commands that put a member into lists, which are sorted sets in the order of their members. */
export function enter(lists: string[], member: string): string[][] {
  return lists.map((list) => ['ZADD', list, '0', member])
}

/** Returns the commands that take a member out of lists. */
export function leave(lists: string[], member: string): string[][] {
  return lists.map((list) => ['ZREM', list, member])
}

/** Returns the commands that move a member from some lists to others; none for a list that is among both. */
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

type Page = { /** The last member of the previous page. */ after?: string | undefined; count: number }

/** Returns the next members of a list, in their order. */
export function pageOf(redis: Redis, list: string, { after, count }: Page): Promise<string[]> {
  return redis.zrangebylex(list, after === undefined ? '-' : `(${after}`, '+', 'LIMIT', 0, count)
}

/** Returns the next members from the end of a list: ids of operations and batches rise with time, so the newest come first. */
export function newestOf(redis: Redis, list: string, { after, count }: Page): Promise<string[]> {
  return redis.zrevrangebylex(list, after === undefined ? '+' : `(${after}`, '-', 'LIMIT', 0, count)
}

/** Yields all members of a list, page by page. Members that are added or removed meanwhile may be included or missed. */
export async function* pagesOf(redis: Redis, list: string, count: number): AsyncGenerator<string[]> {
  let after: string | undefined
  do {
    const page = await pageOf(redis, list, { after, count })
    if (page.length > 0) yield page
    after = page.length < count ? undefined : page.at(-1)
  } while (after !== undefined)
}
