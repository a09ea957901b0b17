import { setTimeout as pause } from 'node:timers/promises'
import { Batch } from '#shared/batch.ts'
import type { Client } from './client.ts'
import { isPassing } from './follow-operation.ts'

type FollowOptions = {
  /** How long to look for a producer that is away before giving up. */
  giveUpAfterMs?: number
  pauseMs?: number
}

/**
 * Gives a batch as it is each second, the last time when it has ended. It is asked for, since the fleet's events have each
 * step of all its operations, too. @throws Refusal, Unreachable
 */
export async function* followBatch(
  client: Client,
  id: string,
  { giveUpAfterMs = 120_000, pauseMs = 1_000 }: FollowOptions = {},
): AsyncGenerator<Batch, void, undefined> {
  let heardAt = performance.now()
  for (;;) {
    try {
      const batch = Batch.parse((await client.get(`/v1/batches/${encodeURIComponent(id)}`)).body)
      heardAt = performance.now()
      yield batch
      // One that was cancelled goes on until what ran has ended.
      if (batch.finishedAt !== null) return
    } catch (error) {
      if (!isPassing(error) || performance.now() - heardAt > giveUpAfterMs) throw error
    }
    await pause(pauseMs)
  }
}
