import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ProvostError } from '#shared/errors.ts'
import type { Unchanged } from '../records/change.ts'
import type { CommitAnswer } from '../records/scripts.ts'
import type { Store } from '../records/store.ts'

const lockedMs = 20_000
const againMs = 20

/**
 * Works on a batch while nobody else changes it or releases its rows. Returns undefined if somebody else has its lock. `work`
 * gets the lock as a condition: whatever it writes for the batch requires that the lock has not passed to somebody else.
 */
export async function withBatchLock<T>(
  { keys, scripts }: Store,
  id: string,
  work: (lock: Unchanged) => Promise<T>,
): Promise<T | undefined> {
  const [key, token] = [keys.batchLock(id), randomUUID()]
  if ((await scripts.lock([key], token, lockedMs)) === 0) return undefined
  try {
    return await work([key, 'token', token])
  } finally {
    await scripts.unlock([key], token)
  }
}

/** Does the same, but waits for the lock. @throws ProvostError `queue_unavailable` when it is not released in time. */
export async function awaitBatchLock<T>(store: Store, id: string, work: (lock: Unchanged) => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + lockedMs
  for (;;) {
    const answer = await withBatchLock(store, id, async (lock) => ({ is: await work(lock) }))
    if (answer) return answer.is
    if (performance.now() > deadlineMs)
      throw new ProvostError('queue_unavailable', `Batch ${id} is held by another request.`, { retryAfter: 1 })
    await sleep(againMs)
  }
}

/** @throws ProvostError `queue_unavailable` when nothing was written, as the lock has passed to somebody else. */
export function assertLocked({ type }: CommitAnswer, batch: string): void {
  if (type !== 'done') throw new ProvostError('queue_unavailable', `Batch ${batch} was held for too long.`, { retryAfter: 1 })
}
