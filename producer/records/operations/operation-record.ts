import { z } from 'zod'
import { CreateJail } from '#shared/jail.ts'
import { JailSpec, Origin, planVersion } from '#shared/job.ts'
import { Move, Operation, OperationError, StepState, Waiting } from '#shared/operation.ts'
import { OperationFacts } from '#shared/redis/record-facts.ts'
import { integer, json, nullable } from '../fields.ts'

/** How long an operation is kept once it has ended. */
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
  /** How often its jobs were put into a queue. */
  wakeup: integer,
  /** How many of them have failed without a word of its host, in this attempt. */
  failedJobs: integer.optional(),
  cancelRequested: z.literal('1').optional(),
  /** What a provision was asked for: it is admitted again from this after a cancel. */
  request: json(CreateJail).optional(),
  /** Of a fill. */
  worldDigest: z.string().optional(),
  /** The jail of a host that an operation is about though the fleet has no record of it. */
  orphan: json(JailSpec).optional(),
  /** The requests under an Idempotency-Key that it is the answer to. */
  requests: json(Origin.shape.requests.unwrap()).optional(),
  revision: z.string(),
})

/** An operation's record: what HTTP shows, and what only the producer needs. */
export type OperationRecord = z.infer<typeof OperationFields>
/** One that is not written yet: the script that writes it gives it its revision. */
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
