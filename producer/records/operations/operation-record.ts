import { z } from 'zod'
import { CreateJail } from '#shared/jail.ts'
import { JailSpec, Origin, planVersion } from '#shared/job.ts'
import { Move, Operation, OperationError, StepState, Waiting } from '#shared/operation.ts'
import { OperationFacts } from '#shared/redis/record-facts.ts'
import { integer, json, nullable } from '../fields.ts'

/** How long an operation is kept after its end. */
export const endedKeptMs = 30 * 24 * 3_600_000

const OperationFields = OperationFacts.extend({
  id: z.string(),
  kind: Operation.shape.kind,
  jail: nullable(z.string()),
  world: z.string().optional(),
  batch: z.string().optional(),
  status: Operation.shape.status,
  percent: integer,
  step: nullable(z.string()),
  steps: json(z.array(StepState)),
  waiting: json(Waiting).optional(),
  error: json(OperationError).optional(),
  createdAt: z.string(),
  startedAt: nullable(z.string()),
  finishedAt: nullable(z.string()),
  moves: json(z.array(Move)).optional(),
  plan: integer.default(planVersion),
  /** How many times its jobs were added to a queue. */
  wakeup: integer,
  /** How many of its jobs failed in this attempt without a report from its host. */
  failedJobs: integer.optional(),
  cancelRequested: z.literal('1').optional(),
  /** The request for a provision: a retry after a cancel is admitted from it. */
  request: json(CreateJail).optional(),
  /** Set for a fill. */
  worldDigest: z.string().optional(),
  /** The jail that an operation is about, if it is on a host but has no record in the fleet. */
  orphan: json(JailSpec).optional(),
  /** The requests under an Idempotency-Key that this operation answers. */
  requests: json(Origin.shape.requests.unwrap()).optional(),
  revision: z.string(),
})

/** An operation's record: what HTTP shows, and fields that only the producer needs. */
export type OperationRecord = z.infer<typeof OperationFields>
/** A record that is not written yet: the script that writes it sets its revision. */
export type NewOperation = Omit<OperationRecord, 'revision'>

export const operationFromFields = (fields: Record<string, string>): OperationRecord => OperationFields.parse(fields)

export function toOperation(operation: NewOperation | OperationRecord): Operation {
  const {
    epoch: _epoch,
    plan: _plan,
    sequence: _sequence,
    wakeup: _wakeup,
    failedJobs: _failedJobs,
    cancelRequested: _cancelRequested,
    request: _request,
    worldDigest: _worldDigest,
    orphan: _orphan,
    requests: _requests,
    revision: _revision,
    ...shown
  } = operation as OperationRecord
  return shown as Operation
}
