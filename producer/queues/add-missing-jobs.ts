import { hasEnded } from '#shared/operation.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import { hasSubject } from './enqueue.ts'
import type { JobDeps } from './replace-lost-jobs.ts'

const pageSize = 200

/** Adds the jobs of operations that were accepted but never added to a queue: their producer died in between, or lost Redis. */
export async function addMissingJobs(deps: JobDeps): Promise<void> {
  const { redis, keys, records, log, timing } = deps
  // Younger ones are left to the producer that accepted them.
  const ids = await redis.zrangebyscore(keys.wakeups, 0, Date.now() - timing.look, 'LIMIT', 0, pageSize)
  const open = new Map((await records.operations(ids)).map((operation) => [operation.id, operation]))
  for (const id of ids) {
    // One that cannot be added must not block those after it.
    await addMissingJob(deps, id, open.get(id)).catch((error) => log.warn({ err: error, operation: id }, 'enqueued later'))
  }
}

async function addMissingJob(deps: JobDeps, id: string, operation: OperationRecord | undefined): Promise<void> {
  const open = operation && !hasEnded(operation.status) ? operation : undefined
  const enqueued = open && { operation: open, jail: await deps.records.jailOf(open) }
  if (!enqueued || !hasSubject(enqueued)) return void (await deps.redis.zrem(deps.keys.wakeups, id))
  await deps.enqueue(enqueued)
  deps.log.info({ operation: id }, 'added a wake-up that was missing')
}
