import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { JailJob, JailSpec, WorldId } from '#shared/job.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import { endAbandoned } from '../plans/end-operation.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import { describeError } from '../plans/report-progress.ts'
import type { RunDeps } from '../plans/run.ts'
import { lastSequence, noteRefused } from '../plans/settle-early.ts'

type Deps = {
  hostId: string
  runDeps: RunDeps
  send(report: OperationReport | FillReport): Promise<void>
  operationLog(operation: string): OperationLog
}

const { operation, epoch, attempt, host } = JailJob.shape
/** Of a jail, `provision` only tells whether it is the one that this host has. */
const Named = z.object({ name: JailSpec.shape.name, provision: JailSpec.shape.provision.optional().catch(undefined) })
const named = { operation, epoch, attempt, host }

/** What the refusal of a job that cannot be read needs of it. */
const Remains = z.union([
  z.object({ ...named, kind: JailJob.shape.kind, jail: Named }),
  z.object({ ...named, kind: z.literal('fill'), world: WorldId.pick({ name: true }) }),
])
type Remains = z.infer<typeof Remains>

/**
 * Ends the operation of a job whose data cannot be read, when it is clear which one that is: undone where this host has begun
 * it. Returns undefined when it is unclear; whoever put the job into the queue gives it up some time later.
 */
export async function refuseUnreadable(data: unknown, fault: string, deps: Deps): Promise<ProvostError | undefined> {
  const remains = Remains.safeParse(data)
  if (!remains.success || remains.data.host !== deps.hostId) return undefined
  const error = new ProvostError('unreadable_job', `Host ${deps.hostId} cannot read the job: ${fault}`)
  await end(remains.data, error, deps)
  return error
}

function end(remains: Remains, error: ProvostError, { hostId, runDeps, send, operationLog }: Deps): Promise<unknown> {
  if (remains.kind === 'fill') return send({ ...refusal(remains, error), type: 'fill', world: remains.world.name })
  const jail = remains.jail.name
  return runDeps.withJail(jail, async () => {
    const ended = await runDeps.journal.endedReport(remains)
    if (ended) return send(ended)
    const current = runDeps.journal.jail(jail)?.current
    if (current?.operation === remains.operation && current.epoch === remains.epoch)
      return endAbandoned(current, hostId, error, operationLog(remains.operation), runDeps)
    const jailState = remains.kind === 'provision' ? 'failed' : 'unchanged'
    await noteRefused(remains, runDeps)
    return send({ ...refusal(remains, error), type: 'operation', jail, jailState, jid: null })
  })
}

function refusal({ operation, epoch, attempt, host }: Remains, error: ProvostError) {
  const at = fleetTime().toISOString()
  const common = { host, operation, epoch, attempt, sequence: lastSequence, at, percent: 0, step: null, steps: [] }
  return { ...common, status: 'failed' as const, error: describeError(error, null) }
}
