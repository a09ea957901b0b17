import { ProvostError } from '#shared/errors.ts'
import type { Store } from '../records/store.ts'
import type { AcceptDeps } from './decision.ts'

/**
 * Returns the next epoch, for an operation on what a host has already: its host would refuse one that it has seen before.
 * @throws ProvostError `queue_unavailable` when Redis has lost the last epochs.
 */
export async function takeEpoch({ scripts, seenEpoch }: Store & Pick<AcceptDeps, 'seenEpoch'>): Promise<number> {
  const epoch = await scripts.takeEpoch(seenEpoch?.() ?? 0)
  if (epoch === undefined)
    throw new ProvostError('queue_unavailable', 'Redis is older than it was a moment ago: it lacks the last epochs.', {
      retryAfter: 2,
    })
  return epoch
}
