import { ProvostError } from '#shared/errors.ts'
import type { CreateJail } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { describeStatus } from '#shared/operation.ts'
import { hasSubject } from '../queues/enqueue.ts'
import { merge } from '../records/change.ts'
import { changeJail } from '../records/jails/jail-changes.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { newestOf } from '../records/lists.ts'
import { noteCleaning } from '../records/operations/cleaning.ts'
import { queueAgain } from '../records/operations/operation-changes.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import { findOperation } from './accept.ts'
import { decideAdmission } from './admit.ts'
import type { Context } from './decide-operation.ts'
import type { AcceptDeps, Commit, Decision } from './decision.ts'

/**
 * Decides a person's retry: the next attempt of the same operation; a provision whose jail is gone is admitted again.
 * @throws ProvostError `not_found`, `not_retryable`.
 */
export async function decideRetry(deps: AcceptDeps, id: string, context: () => Promise<Context>): Promise<Decision> {
  const operation = await findOperation(deps, id)
  const { kind, orphan, request, status } = operation
  if (status !== 'failed' && status !== 'cancelled')
    throw notRetryable(`Operation ${id} ${describeStatus(status)}; only a failed or a cancelled one can be retried.`)
  if (kind === 'fill' || orphan) await assertHasHost(deps, operation)
  if (orphan) return retryClean(deps, operation, orphan, await context())
  const jail = await deps.records.jailOf(operation)
  if (hasSubject({ operation, jail })) return retry(operation, jail, await context())
  if (kind === 'provision' && request) return admitAgain(deps, operation, request)
  throw notRetryable(`The jail ${operation.jail} is gone.`)
}

/** `jail` is null for an operation that is not about a jail of the fleet. */
function retry(operation: OperationRecord, jail: JailRecord | null, { keys, epoch, now }: Context): Commit {
  if (jail && jail.lastOperation !== operation.id) throw notLast(operation, jail.name, jail.lastOperation)
  const again = queueAgain(operation, epoch, now, keys)
  if (!jail) return { type: 'commit', change: again.change, accepted: { jail, operation: again.operation }, wakes: true }
  const state = operation.kind === 'provision' ? 'queued' : jail.state
  const facts = { state, epoch, updatedAt: now.toISOString() }
  return {
    type: 'commit',
    change: merge(changeJail(jail, facts, keys), again.change),
    accepted: { jail: { ...jail, ...facts }, operation: again.operation },
    wakes: true,
  }
}

/** A cancelled provision has left no jail: it is admitted under its own id, unless a later jail has had its name. */
async function admitAgain(deps: AcceptDeps, operation: OperationRecord, ask: CreateJail): Promise<Decision> {
  const { redis, keys } = deps
  const [newest] = await newestOf(redis, operationList({ jail: ask.name }, keys), { count: 1 })
  if (newest !== operation.id) throw notLast(operation, ask.name, newest)
  const { batch } = operation
  return decideAdmission(deps, ask, { again: operation, ...(batch === undefined ? {} : { batch: { id: batch } }) })
}

/** Retries the destroy of an orphan, unless that has become a jail of the fleet. */
async function retryClean(
  { records, keys }: Store,
  operation: OperationRecord,
  { name, provision }: JailSpec,
  context: Context,
): Promise<Commit> {
  const known = await records.jail(name)
  if (known?.provision === provision) throw notRetryable(`Jail ${name} is one of the fleet again; destroy it if it is to go.`)
  const decision = retry(operation, null, context)
  return {
    ...decision,
    change: merge(decision.change, {
      ...noteCleaning(operation.id, provision, keys),
      unchanged: [[keys.jail(name), 'revision', known?.revision ?? null]],
    }),
  }
}

/** An operation that is not about a jail of the fleet would wait for a forgotten host for ever. */
async function assertHasHost({ redis, keys }: Store, { id, host }: OperationRecord): Promise<void> {
  if (await redis.sismember(keys.hosts, host)) return
  throw notRetryable(`Host ${host} of operation ${id} is none of the fleet.`)
}

function notLast({ id }: OperationRecord, jail: string, last: string | undefined): ProvostError {
  return notRetryable(`Operation ${id} is not the last one of jail ${jail}; that is ${last}.`)
}

function notRetryable(message: string): ProvostError {
  return new ProvostError('not_retryable', message)
}
