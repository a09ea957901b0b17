import { ProvostError } from '#shared/errors.ts'
import type { CreateJail } from '#shared/jail.ts'
import { hasEnded } from '#shared/operation.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { PlacementHost } from '../placement/placement-host.ts'
import { hasSubject } from '../queues/enqueue.ts'
import type { Unchanged } from '../records/change.ts'
import type { Idempotency } from '../records/operations/idempotency.ts'
import { newOperation, queueOperation } from '../records/operations/operation-changes.ts'
import { accept, findOperation } from './accept.ts'
import { decideAdmission, type Terms } from './admit.ts'
import { type BatchTerms, type Context, decideCancel, decideVerb, type Verb } from './decide-operation.ts'
import type { AcceptDeps, Answer, Decision } from './decision.ts'
import { decideRetry } from './retry-operation.ts'
import { takeEpoch } from './take-epoch.ts'

/** Everything that callers may ask for: decided, committed atomically, then added to the queues. */

/** Requests a jail. @throws ProvostError why it cannot be admitted. */
export function createJail(
  deps: AcceptDeps,
  ask: CreateJail,
  idempotency?: Idempotency,
  terms: Pick<Terms, 'batch'> = {},
): Promise<Answer> {
  return accept(deps, idempotency, async () => decideAdmission(deps, ask, terms))
}

/** Requests an operation on a jail; `provision`: only on the one that this has made. @throws ProvostError `not_found`, `jail_busy`, `jail_failed`, `idempotency_key_reused`. */
export function operateJail(
  deps: AcceptDeps,
  verb: Verb,
  name: string,
  idempotency?: Idempotency,
  { batch, provision }: { batch?: BatchTerms; provision?: string } = {},
): Promise<Answer> {
  return accept(deps, idempotency, async () => {
    const jail = await deps.records.jail(name)
    if (!jail || (provision !== undefined && jail.provision !== provision))
      throw new ProvostError('not_found', `There is no jail ${name}.`)
    const last = await deps.records.operation(jail.lastOperation)
    return decideVerb(verb, jail, last, { ...(await newContext(deps)), batch })
  })
}

/** Requests the fill of a world on a host. @throws ProvostError `not_found`, `unknown_world`, `idempotency_key_reused`. */
export function fillWorld(deps: AcceptDeps, host: PlacementHost, name: string, idempotency?: Idempotency): Promise<Answer> {
  const { redis, keys } = deps
  return accept(deps, idempotency, async () => {
    if (!(await redis.sismember(keys.hosts, host.id))) throw new ProvostError('not_found', `There is no host ${host.id}.`)
    const world = host.worlds.find((offered) => offered.name === name)
    if (!world) throw new ProvostError('unknown_world', `Host ${host.id} does not offer world ${name}.`)
    const { now, epoch } = await newContext(deps)
    const operation = newOperation(
      { kind: 'fill', jail: null, host: host.id, world: name, worldDigest: world.digest, epoch },
      now,
    )
    const change = { ...queueOperation(operation, now, keys), member: [keys.hosts, host.id] satisfies [string, string] }
    return { type: 'commit', change, accepted: { jail: null, operation }, wakes: true }
  })
}

/** Requests the next attempt of an operation. @throws ProvostError `not_found`, `not_retryable`, or why it cannot be admitted. */
export function retryOperation(deps: AcceptDeps, id: string, idempotency?: Idempotency): Promise<Answer> {
  return accept(deps, idempotency, () => decideRetry(deps, id, () => newContext(deps)))
}

/** Requests that an operation be cancelled; one that has ended stays so. @throws ProvostError `not_found`, `not_cancellable`. */
export function cancelOperation(deps: AcceptDeps, id: string, idempotency?: Idempotency): Promise<Answer> {
  return accept(deps, idempotency, async (): Promise<Decision> => {
    const operation = await findOperation(deps, id)
    const jail = await deps.records.jailOf(operation)
    const subject = { operation, jail }
    if (!hasEnded(operation.status)) {
      const change = decideCancel(operation, jail, deps.keys)
      return { type: 'commit', change, accepted: subject, wakes: false, ...(hasSubject(subject) ? { cancels: subject } : {}) }
    }
    if (!idempotency) return { type: 'answer', answer: { ...subject, replayed: false } }
    // Commits only the idempotency key: the same request must not cancel the next attempt.
    const unchanged: Unchanged[] = [[deps.keys.operation(id), 'revision', operation.revision]]
    return { type: 'commit', change: { unchanged, commands: [], events: [] }, accepted: subject, wakes: false }
  })
}

async function newContext(deps: AcceptDeps): Promise<Context> {
  return { keys: deps.keys, epoch: await takeEpoch(deps), now: fleetTime() }
}
