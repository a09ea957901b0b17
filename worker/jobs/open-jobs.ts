import type { Logger } from 'pino'
import { type ProvostError, toProvostError } from '#shared/errors.ts'
import type { Job, JobName } from '#shared/job.ts'
import type { QueueKind } from '#shared/redis/queues.ts'
import { onBehalfOf } from '../host/run-command.ts'
import { cancelled, type Recorded, whyNotWanted } from '../plans/not-wanted.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import type { Outcome } from '../plans/run.ts'
import type { QueueSlots } from './slots.ts'

export type OpenJob = { job: Job; name: JobName }

type Deps = {
  slots: QueueSlots
  /** Aborted when the worker stops: what still waits for a slot goes back into its queue. */
  stopping: AbortSignal
  operationLog(operation: string): OperationLog
  run(job: Job, name: JobName, log: OperationLog, cancel: AbortSignal): Promise<Outcome>
  recorded(job: Job): Promise<Recorded>
  /** Wakes the jobs of an operation that sleep in their queue. */
  wake(operation: string): Promise<void>
  log: Logger
}

/** What is open on this host: the jobs that run or wait for a slot, and those that gave theirs back and go on later. */
export function makeOpenJobs({ slots, stopping, operationLog, run, recorded, wake, log }: Deps) {
  const running = new Map<string, OpenJob & { controller: AbortController; hasSlot: boolean }>()
  /** By operation. */
  const paused = new Map<string, OpenJob>()

  /**
   * Runs one job, in a slot where its queue shares them, or, without a queue, the end of an operation that has no job here.
   * A cancel of the operation ends it, also while it waits for a slot.
   */
  async function runInSlot(job: Job, name: JobName, queue?: QueueKind): Promise<Outcome> {
    const controller = new AbortController()
    const mine = { job, name, controller, hasSlot: false }
    running.set(job.operation, mine)
    paused.delete(job.operation)
    const commands = operationLog(job.operation)
    const giveBack = queue && (await slots.take(queue, AbortSignal.any([controller.signal, stopping])))
    mine.hasSlot = true
    try {
      if (queue && stopping.aborted) return { type: 'interrupted' }
      return await onBehalfOf(job.operation, commands.record, () => run(job, name, commands, controller.signal))
    } finally {
      giveBack?.()
      if (running.get(job.operation) === mine) running.delete(job.operation)
    }
  }

  /** Ends an operation that runs, or undoes one that waits here; its job finds it ended. */
  async function end({ job, name }: OpenJob, why: ProvostError): Promise<void> {
    const open = running.get(job.operation)
    // It is about an attempt before this one, and was long on its way.
    if (((open ?? paused.get(job.operation))?.job.epoch ?? 0) > job.epoch) return
    if (open) return open.controller.abort(why)
    await runInSlot(job, name).catch((error) => log.error({ err: toProvostError(error), operation: job.operation }, 'cancel'))
    await wake(job.operation)
  }

  async function endUnlessWanted(open: OpenJob): Promise<void> {
    const why = whyNotWanted(open.job, await recorded(open.job))
    if (!why) return
    if (why.code !== 'cancelled') log.warn({ operation: open.job.operation, reason: why.message }, 'comes too late')
    await end(open, why)
  }

  return {
    runInSlot,
    /** A job has given its slot back, and goes on later. */
    pause: (open: OpenJob) => void paused.set(open.job.operation, open),
    cancel: (open: OpenJob) => end(open, cancelled()),
    /**
     * Looks at the records of all that is open, also within a step: the notice of a cancel may have been missed, or the
     * operation was ended while this worker was away.
     */
    async endUnwanted(): Promise<void> {
      await Promise.all([...running.values(), ...paused.values()].map(endUnlessWanted))
    },
    /** Returns how many jobs of a name run now, in a slot. */
    running: (name: JobName) => [...running.values()].filter((job) => job.name === name && job.hasSlot).length,
  }
}
