import type { Client } from './client.ts'

export const csv = 'text/csv'
export const ndjson = 'application/x-ndjson'

type Sent = string | Uint8Array | AsyncIterable<Uint8Array>

/** Sends a file as a batch. `query`: with its question mark. */
export async function postBatch(
  { url, apiKey }: Pick<Client, 'url' | 'apiKey'>,
  type: string,
  body: Sent,
  query = '',
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: any }> {
  const response = await fetch(`${url}/v1/batches${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': type, ...headers },
    body: body as string,
    duplex: 'half',
  } as RequestInit)
  return { status: response.status, headers: response.headers, body: await response.json() }
}

export const header = 'name,client,world\n'

/** The lines of a CSV file with so many jails. */
export function csvOf(count: number, prefix = 'web'): string {
  return header + Array.from({ length: count }, (_, i) => `${prefix}${i + 1},acme,tiny\n`).join('')
}
