import { ProvostError } from '#shared/errors.ts'
import { firstJobOf, type HostNotice } from '#shared/job.ts'
import { type Enqueued, toJob } from '../queues/enqueue.ts'
import { sendNotice } from '../queues/send-notice.ts'
import { merge } from '../records/change.ts'
import { toFields } from '../records/fields.ts'
import { answeredBefore, type Idempotency, keptRequest, keyReused } from '../records/operations/idempotency.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import { commitAdmission } from './admit.ts'
import type { AcceptDeps, Admission, Answer, Commit, Committed, Decision } from './decision.ts'

// Each failed try means that somebody else's change succeeded.
const decideTries = 20

/** Decides a request on the records as they are, and commits it if they have not changed meanwhile; otherwise decides again. */
export async function accept(
  deps: AcceptDeps,
  idempotency: Idempotency | undefined,
  decide: () => Promise<Decision>,
): Promise<Answer> {
  for (let tries = 0; tries < decideTries; tries += 1) {
    const decision = await decide().catch((error) => replayOrThrow(deps, idempotency, error))
    if (decision.type === 'answer') return decision.answer
    const committed = await commit(deps, withRequest(decision, idempotency, deps))
    switch (committed.type) {
      case 'changed':
        continue
      case 'reused':
        throw keyReused()
      case 'replayed':
        return replay(deps, committed.operation)
      case 'done':
        await startWork(deps, decision, committed.accepted)
        return { ...committed.accepted, replayed: false }
    }
  }
  throw new ProvostError('queue_unavailable', 'The records changed faster than they could be read.', { retryAfter: 1 })
}

async function commit(deps: AcceptDeps, decision: Commit | Admission): Promise<Committed> {
  if (decision.type === 'admit') return commitAdmission(deps, decision)
  const answer = await deps.scripts.commit(decision.change)
  if (answer.type === 'leased') return { type: 'changed' }
  return answer.type === 'done' ? { type: 'done', accepted: decision.accepted } : answer
}

/** Adds the request to its operation, whose host's journal also keeps it, in case Redis loses everything. */
function withRequest<D extends Commit | Admission>(decision: D, idempotency: Idempotency | undefined, { keys }: Store): D {
  if (!idempotency) return decision
  const { operation } = decision.accepted
  operation.requests = [...(operation.requests ?? []), keptRequest(idempotency, keys)]
  return {
    ...decision,
    change: merge(decision.change, {
      idempotency: { ...idempotency, operation: operation.id },
      commands: [['HSET', keys.operation(operation.id), ...toFields({ requests: operation.requests })]],
    }),
  }
}

/** The request is accepted once the records are written: what fails here is only logged, and the jobs are added later. */
async function startWork(deps: AcceptDeps, decision: Commit | Admission, accepted: Enqueued): Promise<void> {
  const { hosts, enqueue, log } = deps
  if (decision.type === 'admit' && accepted.jail) hosts.notePromise(accepted.jail.host, accepted.jail.limits)
  if (decision.type === 'commit' && decision.cancels) await notifyOfCancel(deps, decision.cancels)
  if (decision.type === 'admit' || decision.wakes)
    await enqueue(accepted).catch((error) => log.warn({ err: error, operation: accepted.operation.id }, 'enqueued later'))
}

async function notifyOfCancel(deps: AcceptDeps, enqueued: Enqueued): Promise<void> {
  const { host, kind } = enqueued.operation
  const notice: HostNotice = { type: 'cancel', job: toJob(enqueued), name: firstJobOf(kind) }
  await sendNotice(deps, host, notice).catch((error) => deps.log.warn({ err: error }, 'cancel'))
}

/** Replays the answer that a request, refused now, was given before under the same key. Rethrows the error if there is none. */
async function replayOrThrow(deps: Store, idempotency: Idempotency | undefined, error: unknown): Promise<Decision> {
  const id = idempotency && (await answeredBefore(deps.redis, idempotency))
  if (!id) throw error
  return { type: 'answer', answer: await replay(deps, id) }
}

async function replay(store: Store, id: string): Promise<Answer> {
  const operation = await findOperation(store, id)
  return { operation, jail: await store.records.jailOf(operation), replayed: true }
}

/** @throws ProvostError `not_found`. */
export async function findOperation({ records }: Store, id: string): Promise<OperationRecord> {
  const operation = await records.operation(id)
  if (!operation) throw new ProvostError('not_found', `There is no operation ${id}.`)
  return operation
}
