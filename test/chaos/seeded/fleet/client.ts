import { setTimeout as sleep } from 'node:timers/promises'
import { makeClient } from '../../../support/fleets/client.ts'

/** A definite answer; `replayed`: it was given before under the same key. */
export type Answer = { status: number; body: any; replayed: boolean }

export type PatientClient = ReturnType<typeof patientClient>

const triesForMs = 45_000
const tryMs = 6_000

/**
 * A caller as good ones are: asks again under the same key, of any producer, until there is an answer that is not about the
 * producer. `patienceMs`: how long the first answer is waited for.
 */
export function patientClient(urls: readonly string[]) {
  const clients = urls.map(makeClient)
  return {
    /** @throws Error when no producer has answered for long. */
    async call(method: string, path: string, body?: unknown, key?: string, patienceMs = tryMs): Promise<Answer> {
      const deadline = Date.now() + triesForMs
      const headers: Record<string, string> = key ? { 'idempotency-key': key } : {}
      for (let withinMs = patienceMs; ; withinMs = tryMs) {
        const client = clients[Math.floor(Math.random() * clients.length)]
        const answer = await client?.call(method, path, body, headers, AbortSignal.timeout(withinMs)).catch(() => undefined)
        if (answer && answer.status !== 503) {
          const replayed = answer.headers.get('idempotency-replayed') === 'true'
          return { status: answer.status, body: answer.body ?? answer.text, replayed }
        }
        if (Date.now() > deadline) throw new Error(`${method} ${path}: no producer answers`)
        await sleep(50)
      }
    },
  }
}
