import type { FastifyReply } from 'fastify'
import { expect, test } from 'vitest'
import type { AppDeps } from '../../../../producer/http/app-deps.ts'
import { streamOperation } from '../../../../producer/http/events/stream-operation.ts'

test('a stream that cannot be started leaves nobody who listens', async () => {
  const listening = new Set<unknown>()
  const deps = {
    feed: {
      subscribe(listener: unknown) {
        listening.add(listener)
        return () => listening.delete(listener)
      },
    },
  } as unknown as AppDeps
  const sendHeaders = () => {
    throw new Error('the headers were sent already')
  }
  const reply = { sse: { lastEventId: null, onClose: () => undefined, sendHeaders } } as unknown as FastifyReply
  await expect(streamOperation(deps, 'o1', reply)).rejects.toThrow('the headers were sent already')
  expect(listening.size).toBe(0)
})
