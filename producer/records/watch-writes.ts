import { ProvostError } from '#shared/errors.ts'
import { isWriteRefused } from '#shared/redis/redis-away.ts'
import type { Store } from './store.ts'

export type Writes = ReturnType<typeof watchWrites>

const retryAfterSeconds = 2

/**
 * Watches whether Redis takes writes. While it does not, hosts cannot write their heartbeats either, and seem to be silent: they
 * may be there until they have had `silenceMs` to write one.
 */
export function watchWrites({ redis, keys }: Pick<Store, 'redis' | 'keys'>, silenceMs: number) {
  let refusal: string | undefined
  let failedMs = Number.NEGATIVE_INFINITY

  return {
    /** Tries a write. @throws what makes Redis not answer at all */
    async look(): Promise<void> {
      try {
        await redis.set(keys.writable, '1')
        refusal = undefined
      } catch (error) {
        failedMs = performance.now()
        if (!(error instanceof Error) || !isWriteRefused(error)) throw error
        refusal = error.message
      }
    },
    /** Returns why nothing can be written; empty if writes are taken. */
    reasons: () => (refusal === undefined ? [] : [noWrites(refusal)]),
    /** @throws ProvostError `queue_unavailable` while Redis takes no writes. */
    assertTaken(): void {
      if (refusal !== undefined) throw writesRefused(refusal)
    },
    /** Whether hosts that seem to be silent may only not have been able to write until a moment ago. */
    mayHostsBeUnheard: () => performance.now() - failedMs < silenceMs,
  }
}

export function writesRefused(refusal: string): ProvostError {
  return new ProvostError('queue_unavailable', `${noWrites(refusal)}.`, { retryAfter: retryAfterSeconds })
}

const noWrites = (refusal: string) => `Redis takes no writes: ${refusal.replace(/\.$/, '')}`
