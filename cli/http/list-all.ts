import { z } from 'zod'
import type { Client } from './client.ts'

const Page = z.object({ items: z.array(z.unknown()), nextCursor: z.string().nullable().optional() })

/** Returns all items of a list, page after page. @throws Refusal, Unreachable */
export async function listAll(client: Client, path: string, query: Record<string, string | undefined> = {}): Promise<unknown[]> {
  const items: unknown[] = []
  const parameters = new URLSearchParams(
    Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  for (;;) {
    const search = parameters.size > 0 ? `?${parameters}` : ''
    const page = Page.parse((await client.get(`${path}${search}`)).body)
    items.push(...page.items)
    if (!page.nextCursor) return items
    parameters.set('cursor', page.nextCursor)
  }
}
