import { ProvostError } from '#shared/errors.ts'
import type { CreateJail } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { hasEnded } from '#shared/operation.ts'
import type { Held } from '../batches/hold-batch.ts'
import { noteCleaning } from '../hosts/orphans.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import { hasSubject } from '../queues/enqueue.ts'
import { newOperation, writeOperation } from '../records/operation-changes.ts'
import type { JailRecord, OperationRecord } from '../records/records.ts'
import type { Change, Idempotency } from '../records/scripts.ts'
import { type AcceptDeps, type Answer, type Decision, makeAccept } from './accept.ts'
import { admitJail, tryAdmission } from './admit.ts'
import { assertRetryable, decideCancel, decideRetry, decideVerb, type Verb } from './decide-operation.ts'

export type Deps = AcceptDeps & {
  hosts(): PlacementHost[]
  notePromise(host: string, limits: JailRecord['limits']): void
  placement: 'spread' | 'pack'
  fleet?(): string
}

export type Operate = ReturnType<typeof makeOperate>

/** All that callers may ask for: accepted atomically, recorded, then put into the queues. */
export function makeOperate(deps: Deps) {
  const { redis, keys, records } = deps
  const { accept, wake, replay, operationOf } = makeAccept(deps)

  async function admit(
    ask: CreateJail,
    idempotency?: Idempotency,
    more: { again?: OperationRecord; batch?: string; row?: number; held?: Held } = {},
  ): Promise<Answer> {
    const answer = await admitJail(ask, idempotency, deps, more)
    if (answer.type === 'replayed') return replay(answer.operation)
    const { jail } = answer.accepted
    deps.notePromise(jail.host, jail.limits)
    await wake(answer.accepted)
    return { ...answer.accepted, replayed: false }
  }

  /** @throws ProvostError `not_retryable`, when it is not the last operation of the jail that it made. */
  async function admitAgain(operation: OperationRecord, ask: CreateJail, idempotency?: Idempotency): Promise<Answer> {
    const [newest] = await redis.zrevrangebylex(keys.operations('jail', ask.name), '+', '-', 'LIMIT', 0, 1)
    if (newest !== operation.id)
      throw new ProvostError(
        'not_retryable',
        `Operation ${operation.id} is not the last one of jail ${ask.name}; that is ${newest}.`,
      )
    const { batch } = operation
    return admit(ask, idempotency, { again: operation, ...(batch === undefined ? {} : { batch }) })
  }

  /** @throws ProvostError `not_retryable`, when the orphan has become a jail of the fleet. */
  async function retryClean(operation: OperationRecord, { name, provision }: JailSpec): Promise<Decision> {
    const known = await records.jail(name)
    if (known?.provision === provision)
      throw new ProvostError('not_retryable', `Jail ${name} is one of the fleet again; destroy it if it is to go.`)
    const decision = decideRetry(operation, null, await contextNow())
    decision.change.unchanged.push([keys.jail(name), known?.revision ?? ''])
    decision.change.commands.push(...noteCleaning(operation.id, provision, keys))
    return decision
  }

  /** What is about no jail of the fleet would wait for a forgotten host for ever. @throws ProvostError `not_retryable`. */
  async function assertHasHost({ id, host }: OperationRecord): Promise<void> {
    if (await redis.sismember(keys.hosts, host)) return
    throw new ProvostError('not_retryable', `Host ${host} of operation ${id} is none of the fleet.`)
  }

  const contextNow = async () => ({ keys, epoch: await redis.incr(keys.epoch), now: new Date() })

  return {
    /** @throws ProvostError why the jail cannot be admitted. */
    create: (ask: CreateJail, idempotency?: Idempotency, of?: { batch: string; row: number; held?: Held }): Promise<Answer> =>
      admit(ask, idempotency, of),

    /** What `create` would do. @throws ProvostError `unknown_host`. */
    tryCreate: (ask: CreateJail) => tryAdmission(ask, deps),

    /** @throws ProvostError `not_found`, `jail_busy`, `jail_failed`, `idempotency_key_reused`. */
    change(verb: Verb, name: string, idempotency?: Idempotency): Promise<Answer> {
      return accept(idempotency, async () => {
        const jail = await records.jail(name)
        if (!jail) throw new ProvostError('not_found', `There is no jail ${name}.`)
        const last = await records.operation(jail.lastOperation)
        return decideVerb(verb, jail, last, await contextNow())
      })
    },

    /** Makes a world ready on a host. @throws ProvostError `unknown_world`, `idempotency_key_reused`. */
    fill(host: PlacementHost, name: string, idempotency?: Idempotency): Promise<Answer> {
      return accept(idempotency, async () => {
        if (!(await redis.sismember(keys.hosts, host.id))) throw new ProvostError('not_found', `There is no host ${host.id}.`)
        const world = host.worlds.find((offered) => offered.name === name)
        if (!world) throw new ProvostError('unknown_world', `Host ${host.id} does not offer world ${name}.`)
        const { now, epoch } = await contextNow()
        const operation = newOperation(
          { kind: 'fill', jail: null, host: host.id, world: name, worldDigest: world.digest, epoch },
          now,
        )
        const key = keys.operation(operation.id)
        const commands = writeOperation(operation, now, keys)
        const events: Change['events'] = [['operation', operation.id, key]]
        const change: Change = { unchanged: [], member: [keys.hosts, host.id], commands, events }
        return { change, accepted: { jail: null, operation }, wakes: true }
      })
    },

    /** @throws ProvostError `not_found`, `not_retryable`, and for a cancelled provision what an admission may refuse. */
    retry(id: string, idempotency?: Idempotency): Promise<Answer> {
      return accept(idempotency, async () => {
        const operation = await operationOf(id)
        assertRetryable(operation)
        if (operation.kind === 'fill' || operation.orphan) await assertHasHost(operation)
        if (operation.orphan) return retryClean(operation, operation.orphan)
        const jail = await records.jailOf(operation)
        if (hasSubject({ operation, jail })) return decideRetry(operation, jail, await contextNow())
        if (operation.kind === 'provision' && operation.request) return admitAgain(operation, operation.request, idempotency)
        throw new ProvostError('not_retryable', `The jail ${operation.jail} is gone.`)
      })
    },

    /** Sets the flag of a cancel; an operation that has ended stays as it is. @throws `not_found`, `not_cancellable`. */
    cancel(id: string, idempotency?: Idempotency): Promise<Answer> {
      return accept(idempotency, async () => {
        const operation = await operationOf(id)
        const jail = await records.jailOf(operation)
        const subject = { operation, jail }
        if (hasEnded(operation.status)) {
          if (!idempotency) return { ...subject, replayed: false }
          // Only its key is kept: the same request must not end the next attempt.
          const unchanged: Change['unchanged'] = [[keys.operation(id), operation.revision]]
          return { change: { unchanged, commands: [], events: [] }, accepted: subject, wakes: false }
        }
        return {
          change: decideCancel(operation, jail, keys),
          accepted: subject,
          wakes: false,
          ...(hasSubject(subject) ? { cancels: subject } : {}),
        }
      })
    },
  }
}
