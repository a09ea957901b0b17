import { hasEnded } from '#shared/operation.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import { hasSubject } from './enqueue.ts'
import type { JobDeps } from './replace-lost-jobs.ts'

export type MissingJobs = ReturnType<typeof makeAddMissingJobs>

const pageSize = 200

/** Returns what adds the jobs of operations that were accepted but never added to a queue, and knows which cannot be. */
export function makeAddMissingJobs(deps: JobDeps) {
  const { redis, keys, records, log, timing } = deps
  /** By operation whose jobs could not be added at the last look: why. */
  let faults = new Map<string, string>()

  return {
    /** Adds what is missing: the producer that accepted it died in between, or could not add it. */
    async add(): Promise<void> {
      // Younger ones are left to the producer that accepted them.
      const ids = await redis.zrangebyscore(keys.wakeups, 0, fleetTimeMs() - timing.look, 'LIMIT', 0, pageSize)
      const open = new Map((await records.operations(ids)).map((operation) => [operation.id, operation]))
      const now = new Map<string, string>()
      for (const id of ids) {
        // One that cannot be added must not block those after it.
        await addMissingJob(deps, id, open.get(id)).catch((error) => {
          log.warn({ err: error, operation: id }, 'enqueued later')
          now.set(id, error.message)
        })
      }
      faults = now
    },
    /** Returns why the jobs of an operation cannot be added to their queues; undefined if they can, or have been. */
    faultOf: (operation: string) => faults.get(operation),
    /** Returns why accepted operations do not begin; empty if all have their jobs. */
    reasons(): string[] {
      const [why] = faults.values()
      return why === undefined ? [] : [`the jobs of ${faults.size} operations cannot be added to their queues: ${why}`]
    },
  }
}

async function addMissingJob(deps: JobDeps, id: string, operation: OperationRecord | undefined): Promise<void> {
  const open = operation && !hasEnded(operation.status) ? operation : undefined
  const enqueued = open && { operation: open, jail: await deps.records.jailOf(open) }
  if (!enqueued || !hasSubject(enqueued)) return void (await deps.redis.zrem(deps.keys.wakeups, id))
  await deps.enqueue(enqueued)
  deps.log.info({ operation: id }, 'added a wake-up that was missing')
}
