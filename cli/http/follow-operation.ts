import { setTimeout as pause } from 'node:timers/promises'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { hasEnded, Operation } from '#shared/operation.ts'
import type { Client } from './client.ts'
import { Refusal, Unreachable } from './refusal.ts'

export type FollowOptions = {
  signal?: AbortSignal
  /** How long to look for a producer that is away before giving up. */
  giveUpAfterMs?: number
  pauseMs?: number
}

/**
 * Gives an operation each time it changed, the last time when it has ended. A connection that breaks is opened again
 * after the last event seen. @throws Refusal, Unreachable
 */
export async function* followOperation(
  client: Client,
  id: string,
  { signal, giveUpAfterMs = 120_000, pauseMs = 500 }: FollowOptions = {},
): AsyncGenerator<Operation, void, undefined> {
  let lastEventId: string | undefined
  let lastHeardAt = performance.now()
  for (;;) {
    try {
      const response = await client.openEvents(id, lastEventId, signal)
      if (response.status === 204) {
        const operation = Operation.parse((await client.get(`/v1/operations/${encodeURIComponent(id)}`)).body)
        yield operation
        if (hasEnded(operation.status)) return
      } else if (!response.ok || !response.body) {
        throw new Refusal(response.status, await response.text())
      } else {
        const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
        for await (const event of events) {
          lastHeardAt = performance.now()
          if (event.id) lastEventId = event.id
          if (event.event !== 'operation') continue
          const operation = Operation.parse(JSON.parse(event.data))
          yield operation
          if (hasEnded(operation.status)) return
        }
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (!isPassing(error)) throw error
      if (performance.now() - lastHeardAt > giveUpAfterMs) throw error
    }
    await pause(pauseMs, undefined, signal ? { signal } : undefined)
  }
}

/** fetch throws TypeError for every fault of a connection, also of one that breaks in mid-stream. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Refusal) return error.status >= 502 && error.status <= 504
  return error instanceof TypeError || error instanceof Unreachable
}
