import { ProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'

/** What the record of an operation has and its job lacks. */
export type Recorded = {
  /** The durable flag of a cancel. */
  cancelled: boolean
  /** Its record is of a later epoch than the job and, where it is about a jail, of another host. */
  moved: boolean
  /** It has its verdict already, or is at a later attempt: this host was away so long that the fleet gave the operation up. */
  ended: boolean
  /** It has no record: Redis has lost it. */
  lost?: boolean
  /** Its jail's record says that this host has begun to make the jail: there must be something of it here. */
  isJailHere?: boolean
  /** Of the last report that was applied. */
  sequence?: number
}

type Where = Pick<JailJob, 'operation' | 'host'>

export function movedAway({ operation, host }: Where): ProvostError {
  return new ProvostError('moved_away', `Operation ${operation} was moved away from host ${host}.`)
}

export function endedElsewhere({ operation, host }: Where): ProvostError {
  return new ProvostError('ended_elsewhere', `Operation ${operation} was ended without host ${host}, which comes too late.`)
}

export function begunElsewhere({ operation, host }: Where, root: string): ProvostError {
  return new ProvostError('journal_conflict', `Operation ${operation} was begun as host ${host} in another root, ${root}.`, {
    hint: 'Two workers had the name of one host. Give each a name of its own, see that nothing of the jail is left there, then retry.',
  })
}

export function cancelled(): ProvostError {
  return new ProvostError('cancelled', 'The operation was cancelled.')
}

/** Returns why an operation must not go on; undefined when it may. */
export function whyNotWanted(job: Where, recorded: Recorded): ProvostError | undefined {
  if (recorded.moved) return movedAway(job)
  if (recorded.ended) return endedElsewhere(job)
  return recorded.cancelled ? cancelled() : undefined
}
