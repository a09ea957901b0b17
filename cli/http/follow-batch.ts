import { setTimeout as pause } from 'node:timers/promises'
import { Batch } from '#shared/batch.ts'
import type { Client } from './client.ts'
import { isTransient } from './follow-operation.ts'

const giveUpAfterMs = 120_000
const pauseMs = 1_000

/**
 * Yields a batch every second, at last when it has ended. It polls, since the event stream of the fleet would also send every
 * step of all operations. @throws Refusal, Unreachable when the producer is away for too long
 */
export async function* followBatch(client: Client, id: string): AsyncGenerator<Batch, void, undefined> {
  let answeredAt = performance.now()
  for (;;) {
    try {
      const batch = Batch.parse((await client.get(`/v1/batches/${encodeURIComponent(id)}`)).body)
      answeredAt = performance.now()
      yield batch
      // Its status is `cancelled` before the last running operation has ended.
      if (batch.finishedAt !== null) return
    } catch (error) {
      if (!isTransient(error) || performance.now() - answeredAt > giveUpAfterMs) throw error
    }
    await pause(pauseMs)
  }
}
