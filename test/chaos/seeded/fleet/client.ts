import { setTimeout as sleep } from 'node:timers/promises'
import { apiKey } from './open-fleet.ts'

/** A definite answer; `replayed`: it was given before under the same key. */
export type Answer = { status: number; body: any; replayed: boolean }

const triesForMs = 45_000
const tryMs = 6_000

/**
 * A caller as good ones are: asks again under the same key, of any producer, until there is an answer that is not about the
 * producer. `patienceMs`: how long the first answer is waited for.
 */
export function makeClient(urls: readonly string[]) {
  async function callOnce(method: string, path: string, headers: Record<string, string>, body: unknown, withinMs: number) {
    const url = urls[Math.floor(Math.random() * urls.length)]
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(withinMs),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return {
      status: response.status,
      body: isJson ? JSON.parse(text) : text,
      replayed: response.headers.get('idempotency-replayed') === 'true',
    }
  }

  return {
    /** @throws Error when no producer has answered for long. */
    async call(method: string, path: string, body?: unknown, key?: string, patienceMs = tryMs): Promise<Answer> {
      const deadline = Date.now() + triesForMs
      const headers: Record<string, string> = key ? { 'idempotency-key': key } : {}
      for (let withinMs = patienceMs; ; withinMs = tryMs) {
        const answer = await callOnce(method, path, headers, body, withinMs).catch(() => undefined)
        if (answer && answer.status !== 503) return answer
        if (Date.now() > deadline) throw new Error(`${method} ${path}: no producer answers`)
        await sleep(50)
      }
    },
  }
}
