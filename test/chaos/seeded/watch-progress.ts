import { setTimeout as sleep } from 'node:timers/promises'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { hasEnded, type Operation } from '#shared/operation.ts'
import { makeClient } from '../../support/fleets/client.ts'

/**
 * Follows the event stream of the fleet, of one producer after the other, and notes what is not honest: progress that goes
 * back, 100 before success, a verdict that changes. Its `stop` returns what was seen.
 */
export function watchProgress(urls: readonly string[]) {
  const clients = urls.map(makeClient)
  const stopped = new AbortController()
  const last = new Map<string, Operation>()
  const faults: string[] = []
  let events = 0

  function see(operation: Operation): void {
    events += 1
    const before = last.get(operation.id)
    last.set(operation.id, operation)
    const about = `operation ${operation.id} (${operation.kind} ${operation.jail ?? operation.world})`
    if ((operation.percent === 100) !== (operation.status === 'succeeded'))
      faults.push(`${about} is ${operation.status} at ${operation.percent} percent`)
    if (!before || before.attempt !== operation.attempt) return
    if (operation.percent < before.percent)
      faults.push(`${about} went back from ${before.percent} to ${operation.percent} percent`)
    if (hasEnded(before.status) && operation.status !== before.status)
      faults.push(`${about} was ${before.status} and then ${operation.status}`)
  }

  async function follow(): Promise<void> {
    let lastId: string | undefined
    for (let turn = 0; !stopped.signal.aborted; turn += 1) {
      try {
        const headers: Record<string, string> = lastId ? { 'last-event-id': lastId } : {}
        const body = (await clients[turn % clients.length]?.send('/v1/events', { headers, signal: stopped.signal }))?.body
        if (!body) continue
        const decoded = body.pipeThrough(new TextDecoderStream() as any).pipeThrough(new EventSourceParserStream())
        for await (const { id, event, data } of decoded as any) {
          if (id) lastId = id
          const record = event === 'operation' ? JSON.parse(data) : undefined
          if (record && !record.removed) see(record)
        }
      } catch {
        // The producer is gone, or was not there yet.
      }
      await sleep(50)
    }
  }

  const following = follow()
  return {
    async stop(): Promise<{ faults: string[]; events: number }> {
      stopped.abort()
      await following
      return { faults, events }
    },
  }
}
