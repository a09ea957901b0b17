import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { ProvostError } from '#shared/errors.ts'
import type { HostNotice } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { type Enqueued, firstJobOf, toJob } from '../queues/enqueue.ts'
import { keptRequest } from '../records/idempotency.ts'
import { type JailRecord, type OperationRecord, type Records, toFields } from '../records/records.ts'
import type { Change, Idempotency, Scripts } from '../records/scripts.ts'

export type AcceptDeps = {
  redis: Redis
  keys: RedisKeys
  scripts: Scripts
  records: Records
  log: Logger
  enqueue(enqueued: Enqueued): Promise<void>
}

/** What a caller gets: the operation as it is now, its jail if there still is one, and whether this is an old answer. */
export type Answer = { operation: OperationRecord; jail: JailRecord | null; replayed: boolean }

/**
 * What a request comes to: the change to commit, how the records are then, whether a worker has to do anything, and the
 * operation that is to end for it.
 */
export type Decision = { change: Change; accepted: Enqueued; wakes: boolean; cancels?: Enqueued }

export type Accept = ReturnType<typeof makeAccept>

// Each try lost means that somebody else's change was won.
const decideTries = 20

/** How every request but an admission is accepted: decided on the records as they are, and committed if they still are so. */
export function makeAccept({ redis, keys, scripts, records, log, enqueue }: AcceptDeps) {
  /** Decides and commits; decides again when the records changed meanwhile. */
  async function accept(idempotency: Idempotency | undefined, decide: () => Promise<Decision | Answer>): Promise<Answer> {
    for (let tries = 0; tries < decideTries; tries += 1) {
      const decision = await decide().catch(async (error) => {
        const known = idempotency && (await knownAnswer(idempotency))
        if (known) return known
        throw error
      })
      if ('replayed' in decision) return decision
      if (idempotency) noteRequest(decision, idempotency)
      const { jail, operation } = decision.accepted
      const committed = await scripts.commit({
        ...decision.change,
        idempotency: idempotency && { ...idempotency, operation: operation.id },
      })
      if (committed.type === 'changed' || committed.type === 'leased') continue
      if (committed.type === 'reused') throw reused()
      if (committed.type === 'replayed') return replay(committed.operation)
      if (decision.cancels) await notifyOfCancel(decision.cancels)
      if (decision.wakes) await wake(decision.accepted)
      const revised = <R extends { revision: string }>(record: R, key: string): R => {
        const revision = committed.revisions[decision.change.events.findIndex(([, , changed]) => changed === key)]
        return revision === undefined ? record : { ...record, revision: String(revision) }
      }
      return {
        jail: jail && revised(jail, keys.jail(jail.name)),
        operation: revised(operation, keys.operation(operation.id)),
        replayed: false,
      }
    }
    throw new ProvostError('queue_unavailable', 'The records changed faster than they could be read.', { retryAfter: 1 })
  }

  /** Its host's journal keeps it with the operation, for a Redis that lost everything. */
  function noteRequest({ accepted: { operation }, change }: Decision, idempotency: Idempotency): void {
    operation.requests = [...(operation.requests ?? []), keptRequest(idempotency, keys)]
    change.commands.push(['HSET', keys.operation(operation.id), ...toFields({ requests: operation.requests })])
  }

  /** Once the records are written the request is accepted: a queue that cannot be reached is the sweeper's to fill. */
  async function wake(enqueued: Enqueued): Promise<void> {
    await enqueue(enqueued).catch((error) => log.warn({ err: error, operation: enqueued.operation.id }, 'enqueued later'))
  }

  async function replay(id: string): Promise<Answer> {
    const operation = await operationOf(id)
    return { operation, jail: await records.jailOf(operation), replayed: true }
  }

  async function operationOf(id: string): Promise<OperationRecord> {
    const operation = await records.operation(id)
    if (!operation) throw new ProvostError('not_found', `There is no operation ${id}.`)
    return operation
  }

  /** What a request that is refused now was answered before under the same key. */
  async function knownAnswer(idempotency: Idempotency): Promise<Answer | undefined> {
    const [fingerprint, operation] = await redis.hmget(idempotency.key, 'fingerprint', 'operation')
    if (!operation) return undefined
    if (fingerprint !== idempotency.fingerprint) throw reused()
    return replay(operation)
  }

  async function notifyOfCancel(enqueued: Enqueued): Promise<void> {
    const { host, kind } = enqueued.operation
    const notice: HostNotice = { type: 'cancel', job: toJob(enqueued), name: firstJobOf(kind) }
    await redis.publish(keys.notices(host), JSON.stringify(notice)).catch((error) => log.warn({ err: error }, 'cancel'))
  }

  return { accept, wake, replay, operationOf }
}

function reused(): ProvostError {
  return new ProvostError('idempotency_key_reused', 'This Idempotency-Key stands for another request.')
}
