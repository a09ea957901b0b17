import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { ProvostError } from '#shared/errors.ts'
import type { CreateJail } from '#shared/jail.ts'
import type { CancelNotice } from '#shared/job.ts'
import type { RedisKeys } from '#shared/keys.ts'
import { type Accepted, admitJail } from './admit.ts'
import { assertRetryable, type Decision, decideCancel, decideRetry, decideVerb, type Verb } from './change-jail.ts'
import { firstJobOf, toJob } from './enqueue.ts'
import type { PlacementHost } from './placement/choose-host.ts'
import type { JailRecord, OperationRecord, Records } from './records.ts'
import type { Idempotency, Scripts } from './scripts.ts'

export type Deps = {
  redis: Redis
  keys: RedisKeys
  scripts: Scripts
  records: Records
  log: Logger
  enqueue(accepted: Accepted): Promise<void>
  hosts(): PlacementHost[]
  notePromise(host: string, limits: JailRecord['limits']): void
  placement: 'spread' | 'pack'
}

/** What a caller gets: the operation as it is now, its jail if there still is one, and whether this is an old answer. */
export type Answer = { operation: OperationRecord; jail: JailRecord | null; replayed: boolean }

export type Operate = ReturnType<typeof makeOperate>

// Each try lost means that somebody else's change was won.
const decideTries = 20

/** All that callers may ask for: accepted atomically, recorded, then put into the queues. */
export function makeOperate(deps: Deps) {
  const { redis, keys, scripts, records, log } = deps

  async function admit(ask: CreateJail, idempotency?: Idempotency, again?: OperationRecord): Promise<Answer> {
    const answer = await admitJail(ask, idempotency, deps, again)
    if (answer.type === 'replayed') return replay(answer.operation)
    const { jail } = answer.accepted
    deps.notePromise(jail.host, jail.limits)
    await wake(answer.accepted)
    return { ...answer.accepted, replayed: false }
  }

  /** Once the records are written the request is accepted: a queue that cannot be reached is the sweeper's to fill. */
  async function wake(accepted: Accepted): Promise<void> {
    await deps.enqueue(accepted).catch((error) => log.warn({ err: error, operation: accepted.operation.id }, 'enqueued later'))
  }

  async function replay(id: string): Promise<Answer> {
    const operation = await operationOf(id)
    return { operation, jail: (await records.jail(operation.jail)) ?? null, replayed: true }
  }

  async function operationOf(id: string): Promise<OperationRecord> {
    const operation = await records.operation(id)
    if (!operation) throw new ProvostError('not_found', `There is no operation ${id}.`)
    return operation
  }

  /** Decides on the records as they are and commits; decides again when they changed meanwhile. */
  async function decideAndCommit(
    idempotency: Idempotency | undefined,
    decide: () => Promise<Decision | Answer>,
  ): Promise<Answer> {
    for (let tries = 0; tries < decideTries; tries += 1) {
      let decision: Decision | Answer
      try {
        decision = await decide()
      } catch (error) {
        const known = idempotency && (await knownAnswer(idempotency))
        if (known) return known
        throw error
      }
      if ('replayed' in decision) return decision
      const { jail, operation } = decision.accepted
      const committed = await scripts.commit({
        ...decision.change,
        idempotency: idempotency && { ...idempotency, operation: operation.id },
      })
      if (committed.type === 'changed') continue
      if (committed.type === 'reused') throw reused()
      if (committed.type === 'replayed') return replay(committed.operation)
      if (decision.cancels) await notifyOfCancel(decision.cancels, jail)
      if (decision.wakes) await wake(decision.accepted)
      const [jailRevision, operationRevision] = committed.revisions.map(String)
      return {
        jail: { ...jail, revision: jailRevision ?? '' },
        operation: { ...operation, revision: operationRevision ?? '' },
        replayed: false,
      }
    }
    throw new ProvostError('queue_unavailable', 'The records changed faster than they could be read.', { retryAfter: 1 })
  }

  /** What a request that is refused now was answered before under the same key. */
  async function knownAnswer(idempotency: Idempotency): Promise<Answer | undefined> {
    const [fingerprint, operation] = await redis.hmget(idempotency.key, 'fingerprint', 'operation')
    if (!operation) return undefined
    if (fingerprint !== idempotency.fingerprint) throw reused()
    return replay(operation)
  }

  async function notifyOfCancel(operation: OperationRecord, jail: JailRecord): Promise<void> {
    const job = toJob({ jail, operation })
    const notice: CancelNotice = { job, name: firstJobOf(operation.kind) }
    await redis.publish(keys.cancels(operation.host), JSON.stringify(notice)).catch((error) => log.warn({ err: error }, 'cancel'))
  }

  const contextNow = async () => ({ keys, epoch: await redis.incr(keys.epoch), now: new Date() })

  return {
    /** @throws ProvostError why the jail cannot be admitted. */
    create: (ask: CreateJail, idempotency?: Idempotency): Promise<Answer> => admit(ask, idempotency),

    /** @throws ProvostError `not_found`, `jail_busy`, `jail_failed`, `idempotency_key_reused`. */
    change(verb: Verb, name: string, idempotency?: Idempotency): Promise<Answer> {
      return decideAndCommit(idempotency, async () => {
        const jail = await records.jail(name)
        if (!jail) throw new ProvostError('not_found', `There is no jail ${name}.`)
        const last = await records.operation(jail.lastOperation)
        return decideVerb(verb, jail, last, await contextNow())
      })
    },

    /** @throws ProvostError `not_found`, `not_retryable`, and for a cancelled provision what an admission may refuse. */
    retry(id: string, idempotency?: Idempotency): Promise<Answer> {
      return decideAndCommit(idempotency, async () => {
        const operation = await operationOf(id)
        assertRetryable(operation)
        const jail = await records.jail(operation.jail)
        if (jail) return decideRetry(operation, jail, await contextNow())
        if (operation.kind !== 'provision' || !operation.request)
          throw new ProvostError('not_retryable', `The jail ${operation.jail} is gone.`)
        const [newest] = await redis.zrevrangebylex(keys.operations('jail', operation.jail), '+', '-', 'LIMIT', 0, 1)
        if (newest !== id)
          throw new ProvostError(
            'not_retryable',
            `Operation ${id} is not the last one of jail ${operation.jail}; that is ${newest}.`,
          )
        return admit(operation.request, idempotency, operation)
      })
    },

    /** Sets the flag of a cancel; an operation that has ended stays as it is. @throws `not_found`, `not_cancellable`. */
    async cancel(id: string, idempotency?: Idempotency): Promise<Answer> {
      for (let tries = 0; tries < decideTries; tries += 1) {
        const known = idempotency && (await knownAnswer(idempotency))
        if (known) return known
        const operation = await operationOf(id)
        const jail = (await records.jail(operation.jail)) ?? null
        const change = decideCancel(operation, jail, keys)
        if (!change) return { operation, jail, replayed: false }
        const committed = await scripts.commit({ ...change, idempotency: idempotency && { ...idempotency, operation: id } })
        if (committed.type === 'changed') continue
        if (committed.type === 'reused') throw reused()
        if (committed.type === 'replayed') return replay(committed.operation)
        if (jail) await notifyOfCancel(operation, jail)
        return { operation, jail, replayed: false }
      }
      throw new ProvostError('queue_unavailable', 'The operation changed faster than it could be read.', { retryAfter: 1 })
    },
  }
}

function reused(): ProvostError {
  return new ProvostError('idempotency_key_reused', 'This Idempotency-Key stands for another request.')
}
