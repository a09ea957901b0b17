import { setTimeout as pause } from 'node:timers/promises'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { hasEnded, Operation } from '#shared/operation.ts'
import type { Answer, Client } from './client.ts'
import { Refusal, Unreachable } from './refusal.ts'

/**
 * Yields an operation at each change, at last when it has ended. Reopens a broken connection after the last event seen.
 * @throws Refusal, Unreachable when the producer is away for `giveUpAfterMs`
 */
export async function* followOperation(
  client: Client,
  id: string,
  { giveUpAfterMs = 120_000, pauseMs = 500 }: { giveUpAfterMs?: number; pauseMs?: number } = {},
): AsyncGenerator<Operation, void, undefined> {
  let lastEventId: string | undefined
  let lastEventAt = performance.now()
  for (;;) {
    try {
      const response = await client.openEvents(id, lastEventId)
      if (response.status === 204) {
        const operation = Operation.parse((await client.get(`/v1/operations/${encodeURIComponent(id)}`)).body)
        yield operation
        if (hasEnded(operation.status)) return
      } else if (!response.ok || !response.body) {
        throw new Refusal(response.status, await response.text())
      } else {
        const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
        for await (const event of events) {
          lastEventAt = performance.now()
          if (event.id) lastEventId = event.id
          if (event.event !== 'operation') continue
          const operation = Operation.parse(JSON.parse(event.data))
          yield operation
          if (hasEnded(operation.status)) return
        }
      }
    } catch (error) {
      if (!isTransient(error) || performance.now() - lastEventAt > giveUpAfterMs) throw error
    }
    await pause(pauseMs)
  }
}

/** Waits until an operation has ended, and returns the answer with it. @throws Refusal, Unreachable */
export async function awaitOperation(client: Client, id: string): Promise<Answer> {
  for await (const _ of followOperation(client, id));
  return await client.get(`/v1/operations/${encodeURIComponent(id)}`)
}

/** Whether a request may succeed later. fetch throws TypeError for every fault of a connection, also in mid-stream. */
export function isTransient(error: unknown): boolean {
  if (error instanceof Refusal) return error.status >= 502 && error.status <= 504
  return error instanceof TypeError || error instanceof Unreachable
}
