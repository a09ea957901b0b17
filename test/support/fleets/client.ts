import type { Jail } from '#shared/jail.ts'
import { hasEnded, type Operation } from '#shared/operation.ts'
import { until } from '../until.ts'

export type Answer = { status: number; headers: Headers; body: any; text: string }
export type Client = ReturnType<typeof makeClient>

/** The calls that tests make, over HTTP. */
export function makeClient(url: string, apiKey: string) {
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : undefined, text }
  }

  const client = {
    url,
    apiKey,
    call,
    ask: (name: string, more: object = {}, headers: Record<string, string> = {}) =>
      call('POST', '/v1/jails', { name, client: 'acme', world: 'tiny', ...more }, headers),
    jail: async (name: string): Promise<Jail | undefined> => (await call('GET', `/v1/jails/${name}`)).body,
    operation: async (id: string): Promise<Operation> => (await call('GET', `/v1/operations/${id}`)).body,
    /** The operation of an answer, once it has ended. */
    async ended(answer: Answer, withinMs?: number): Promise<Operation> {
      if (!answer.body?.operation) throw new Error(`no operation: ${answer.status} ${answer.text}`)
      const look = async () => {
        const operation = await client.operation(answer.body.operation.id)
        return hasEnded(operation.status) && operation
      }
      return until(`operation ${answer.body.operation.kind} to end`, look, withinMs)
    },
  }
  return client
}
