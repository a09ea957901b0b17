import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { Fleet } from './fleet.ts'

/** Follows a stream of events in the background. */
export async function follow(fleet: Fleet, path: string, headers: Record<string, string> = {}) {
  const abort = new AbortController()
  const response = await fetch(`${fleet.url}${path}`, {
    headers: { authorization: `Bearer ${fleet.apiKey}`, ...headers },
    signal: abort.signal,
  })
  const events: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (event) => events.push(event) })
  const done = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }))
  })().catch(() => undefined)
  return { status: response.status, events, done, close: () => abort.abort() }
}
