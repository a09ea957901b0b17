import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { hasEnded, Operation } from '#shared/operation.ts'
import type { ClientConfig } from './config.ts'
import { Refusal, Unreachable } from './refusal.ts'

/** `replayed`: an earlier request with the same Idempotency-Key got the same answer. */
export type Answer = { text: string; body: unknown; replayed: boolean }

export type Request = { method: 'POST' | 'DELETE'; path: string; body?: unknown }

/** A request whose body is streamed. `isRepeatable`: it can be opened more than once, unlike stdin. */
export type Upload = { path: string; type: string; open(): Readable; isRepeatable: boolean; idempotencyKey: string }

export type Client = {
  /** @throws Refusal, Unreachable */
  get(path: string): Promise<Answer>
  /** Sends a request and repeats it on faults of the connection, with one Idempotency-Key. @throws Refusal, Unreachable */
  send(request: Request): Promise<Answer>
  /** Like `send`, and returns the answer once the operation has ended. */
  sendAndWait(request: Request): Promise<Answer>
  /** Streams a body; repeats like `send` if the body is repeatable. @throws Refusal, Unreachable */
  upload(upload: Upload): Promise<Answer>
  /** Streams a body that is repeatable, and then the body of the answer; empty for a 204. @throws as `upload` and `download` */
  exchange(upload: Omit<Upload, 'idempotencyKey'>): AsyncGenerator<Uint8Array, void, undefined>
  /** Streams the body of an answer. @throws Refusal, Unreachable, also when it breaks off */
  download(path: string): AsyncGenerator<Uint8Array, void, undefined>
  /** Opens the event stream of an operation; 204 when there is nothing after `lastEventId`. */
  openEvents(operation: string, lastEventId: string | undefined): Promise<Response>
}

export const WithOperation = z.object({ operation: Operation })

/** How long a request is repeated: long enough for a restart of the producer, and for Redis to return after a 503. */
const faultsForMs = 5_000
const unavailableForMs = 30_000
const pauseAtFirstMs = 200
const waitSeconds = 60
/** After how long without an answer a person is told so. */
const silentMs = 1_500

/** `tell`: hears at once, and once for each request, that the producer does not answer yet and is asked again. */
export function httpClient({ url, key }: ClientConfig, tell: (line: string) => void = () => undefined): Client {
  const headers = { authorization: `Bearer ${key}` }

  const ask = async (path: string, init: RequestInit): Promise<Answer> =>
    await answerOf(await repeatFetch(`${url}${path}`, () => init, { tell }))

  const sender = ({ method, path, body }: Request) => {
    const idempotencyKey = randomUUID()
    return (more: Record<string, string> = {}) =>
      ask(path, {
        method,
        headers: {
          ...headers,
          ...more,
          'idempotency-key': idempotencyKey,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
  }

  const sendFile = ({ path, type, open, isRepeatable }: Omit<Upload, 'idempotencyKey'>, more: Record<string, string>) => {
    const init = (): RequestInit => ({
      method: 'POST',
      headers: { ...headers, ...more, 'content-type': type },
      body: open(),
      duplex: 'half',
      // Otherwise fetch keeps the whole body in memory, to send it again after a redirect.
      redirect: 'error',
    })
    return repeatFetch(`${url}${path}`, init, { isRepeatable, tell })
  }

  async function* bodyStream(response: Response) {
    if (response.status === 204) return
    if (!response.ok || !response.body) throw new Refusal(response.status, await response.text())
    try {
      yield* response.body
    } catch (error) {
      throw new Unreachable(`${url} broke off its answer: ${whyOf(error)}`, { cause: error })
    }
  }

  return {
    get: (path) => ask(path, { headers }),
    send: (request) => sender(request)(),
    sendAndWait: async (request) => {
      const send = sender(request)
      for (;;) {
        const answer = await send({ prefer: `wait=${waitSeconds}` })
        if (hasEnded(WithOperation.parse(answer.body).operation.status)) return answer
        // Without a pause, a server that ignores `Prefer: wait` would be flooded.
        await pause(pauseAtFirstMs)
      }
    },
    upload: async ({ idempotencyKey, ...upload }) =>
      await answerOf(await sendFile(upload, { 'idempotency-key': idempotencyKey })),
    exchange: async function* (upload) {
      yield* bodyStream(await sendFile(upload, {}))
    },
    download: async function* (path) {
      yield* bodyStream(await repeatFetch(`${url}${path}`, () => ({ headers }), { tell }))
    },
    openEvents: (operation, lastEventId) =>
      fetch(`${url}/v1/operations/${encodeURIComponent(operation)}/events`, {
        headers: { ...headers, accept: 'text/event-stream', ...(lastEventId ? { 'last-event-id': lastEventId } : {}) },
      }),
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  if (!response.ok) throw new Refusal(response.status, text)
  const replayed = response.headers.get('idempotency-replayed') === 'true'
  return { text, body: bodyOf(response, text), replayed }
}

async function repeatFetch(url: string, init: () => RequestInit, { isRepeatable = true, tell }: Repeating): Promise<Response> {
  const { origin } = new URL(url)
  const started = performance.now()
  let isTold = false
  const tellOnce = (why: string, forMs: number) => {
    if (!isTold) tell(`${origin} ${why}; it is asked again for ${Math.round(forMs / 1000)} s.`)
    isTold = true
  }
  // Of the faults of the connection since it last worked.
  let [pauseMs, faultyFromMs] = [pauseAtFirstMs, started]
  for (;;) {
    const askedMs = performance.now()
    try {
      const asked = init()
      const response = await withWord(fetch(url, asked), asked, () => tell(`${origin} has not answered yet.`))
      if (!isRepeatable) return response
      const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
      if (response.status !== 503 || Number.isNaN(retryAfter) || askedMs - started + retryAfter * 1000 > unavailableForMs)
        return response
      tellOnce(`cannot do it yet: ${new Refusal(response.status, await response.text()).message}`, unavailableForMs)
      await pause(Math.max(retryAfter * 1000, pauseAtFirstMs))
      ;[pauseMs, faultyFromMs] = [pauseAtFirstMs, performance.now()]
    } catch (error) {
      if (!isRepeatable || askedMs - faultyFromMs + pauseMs > faultsForMs)
        throw new Unreachable(`${origin} does not answer: ${whyOf(error)}`, { cause: error })
      tellOnce(`does not answer: ${whyOf(error)}`, faultsForMs)
      await pause(pauseMs)
      pauseMs *= 2
    }
  }
}

type Repeating = { isRepeatable?: boolean; tell(line: string): void }

/** Says so when an answer is late, unless it is one that is late by itself: to a request that waits, or has to be sent first. */
async function withWord<T>(answer: Promise<T>, { headers, body }: RequestInit, say: () => void): Promise<T> {
  const isLate = (headers as Record<string, string>)['prefer'] !== undefined || (body !== undefined && typeof body !== 'string')
  const timer = isLate ? undefined : setTimeout(say, silentMs)
  try {
    return await answer
  } finally {
    clearTimeout(timer)
  }
}

/** Why a fetch failed; its own message says only that it did. */
function whyOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error ? cause.message || ('code' in cause ? String(cause.code) : cause.name) : String(cause)
}

function bodyOf(response: Response, text: string): unknown {
  return response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined
}
