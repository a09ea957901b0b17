import type { Batch } from '#shared/batch.ts'
import type { Host } from '#shared/host.ts'
import type { Jail } from '#shared/jail.ts'
import { hasEnded, type Operation } from '#shared/operation.ts'
import { until } from '../until.ts'

export const apiKey = 'a-key-for-tests-only'

export type Answer = { status: number; headers: Headers; body: any; text: string }
export type Client = ReturnType<typeof makeClient>

type Fields = Record<string, string>
type Init = RequestInit & { headers?: Fields }
export type Content = NonNullable<Init['body']>

/** The calls that tests make, over HTTP. */
export function makeClient(url: string) {
  /** `fetch` with the fleet's key. */
  const send = (path: string, { headers, ...init }: Init = {}): Promise<Response> =>
    fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${apiKey}`, ...headers } })

  async function exchange(path: string, init: Init): Promise<Answer> {
    const response = await send(path, init)
    const { status, headers } = response
    const text = await response.text()
    return { status, headers, body: headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined, text }
  }

  /** Sends `body` as JSON, text as it is. @throws as fetch does, also when `signal` aborts. */
  function call(method: string, path: string, body?: unknown, headers: Fields = {}, signal: AbortSignal | null = null) {
    if (body === undefined) return exchange(path, { method, headers, signal })
    const content = typeof body === 'string' ? body : JSON.stringify(body)
    return exchange(path, { method, headers: { 'content-type': 'application/json', ...headers }, body: content, signal })
  }

  const client = {
    url,
    apiKey,
    send,
    call,
    ask: (name: string, more: object = {}, headers: Fields = {}) =>
      call('POST', '/v1/jails', { name, client: 'acme', world: 'tiny', ...more }, headers),
    /** Sends a file as a batch. `query`: with its question mark. */
    postBatch: (type: string, file: Content, query = '', headers: Fields = {}) =>
      exchange(`/v1/batches${query}`, {
        method: 'POST',
        headers: { 'content-type': type, ...headers },
        body: file,
        duplex: 'half',
      }),
    jail: async (name: string): Promise<Jail | undefined> => (await call('GET', `/v1/jails/${name}`)).body,
    operation: async (id: string): Promise<Operation> => (await call('GET', `/v1/operations/${id}`)).body,
    /** Waits for the operation of an answer to end, and returns it. */
    async ended(answer: Answer, withinMs?: number): Promise<Operation> {
      if (!answer.body?.operation) throw new Error(`no operation: ${answer.status} ${answer.text}`)
      const look = async () => {
        const operation = await client.operation(answer.body.operation.id)
        return hasEnded(operation.status) && operation
      }
      return until(`operation ${answer.body.operation.kind} to end`, look, withinMs)
    },
    batch: async (id: string): Promise<Batch> => (await call('GET', `/v1/batches/${id}`)).body,
    /** Waits for a batch to be as `is` says, and returns it. */
    batchIs: (id: string, what: string, is: (batch: Batch) => boolean, withinMs?: number) =>
      until(
        what,
        async () => {
          const batch = await client.batch(id)
          return is(batch) && batch
        },
        withinMs,
      ),
    batchEnded: (id: string, withinMs?: number) =>
      client.batchIs(id, 'the batch to end', ({ finishedAt }) => finishedAt !== null, withinMs),
    /** Waits for a host to be in a state; one that is up has filled its worlds, too. */
    hostIs: (id: string, state: Host['state'], withinMs?: number) =>
      until(
        `host ${id} to be ${state}`,
        async () => {
          const host = (await call('GET', `/v1/hosts/${id}`).catch(() => undefined))?.body
          return state === 'up' ? isUp(host) : host?.state === state
        },
        withinMs,
      ),
  }
  return client
}

/** Whether a host is up, with every world that it fills by itself. */
export function isUp(host: Partial<Host> | undefined): boolean {
  return host?.state === 'up' && !!host.worlds?.every(({ prefill, state }) => !prefill || state === 'ready')
}
