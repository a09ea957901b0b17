import type { Logger } from 'pino'
import { type ProvostError, toProvostError } from '#shared/errors.ts'
import type { Job, JobName } from '#shared/job.ts'
import type { QueueKind } from '#shared/redis/queues.ts'
import { onBehalfOf } from '../host/programs/run-command.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import { cancelled, type Recorded, whyNotWanted } from '../plans/recorded.ts'
import type { Outcome } from '../plans/run.ts'
import type { QueueSlots } from './queue-slots.ts'

type OpenJob = { job: Job; name: JobName }

export type OpenJobsDeps = {
  slots: QueueSlots
  /** How long a job may have its slot, in milliseconds. */
  overdueMs: number
  /** Aborted when the worker stops: a job that still waits for a slot goes back into its queue. */
  stopping: AbortSignal
  operationLog(operation: string): OperationLog
  run(job: Job, name: JobName, log: OperationLog, cancel: AbortSignal): Promise<Outcome>
  recorded(job: Job): Promise<Recorded>
  /** Wakes the jobs of an operation that sleep in their queue. */
  wake(operation: string): Promise<void>
  log: Logger
}

/** Returns what keeps the open jobs of this host: those that run or wait for a slot, and those that have paused. */
export function makeOpenJobs({ slots, overdueMs, stopping, operationLog, run, recorded, wake, log }: OpenJobsDeps) {
  const running = new Map<string, OpenJob & { controller: AbortController; hasSlot: boolean }>()
  /** By operation. */
  const paused = new Map<string, OpenJob>()

  /**
   * Runs one job, in a slot where its queue has any; without a queue, ends an operation whose job is not being run. A cancel of
   * the operation ends it, also while it waits for a slot. With `onOverdue`, which is called then, a job that takes longer than most
   * gives its slot back and goes on without.
   */
  async function runInSlot(job: Job, name: JobName, queue?: QueueKind, onOverdue?: () => void): Promise<Outcome> {
    const controller = new AbortController()
    const mine = { job, name, controller, hasSlot: false }
    running.set(job.operation, mine)
    paused.delete(job.operation)
    const commands = operationLog(job.operation)
    const giveBack = queue && (await slots.take(queue, clientOf(job), AbortSignal.any([controller.signal, stopping])))
    mine.hasSlot = true
    const overdue = () => {
      mine.hasSlot = false
      giveBack?.()
      onOverdue?.()
    }
    const timer = onOverdue && setTimeout(overdue, overdueMs)
    try {
      if (queue && stopping.aborted) return { type: 'interrupted' }
      return await onBehalfOf(job.operation, commands.record, () => run(job, name, commands, controller.signal))
    } finally {
      clearTimeout(timer)
      giveBack?.()
      if (running.get(job.operation) === mine) running.delete(job.operation)
    }
  }

  /** Ends an operation that runs, or undoes one that has paused; its job sees at its next pickup that it has ended. */
  async function end({ job, name }: OpenJob, why: ProvostError): Promise<void> {
    const open = running.get(job.operation)
    // A cancel that was long on its way, for an earlier attempt.
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
    /** Keeps a job that has given its slot back and goes on later. */
    pause: (open: OpenJob) => void paused.set(open.job.operation, open),
    cancel: (open: OpenJob) => end(open, cancelled()),
    /**
     * Ends every open job whose record says so, also within a step: the notice of a cancel may have been missed, or the
     * operation was ended while this worker was away.
     */
    async endUnwanted(): Promise<void> {
      await Promise.all([...running.values(), ...paused.values()].map(endUnlessWanted))
    },
    /** Ends every provision that runs, also within a step: this host has its name no longer. */
    abandonProvisions(why: ProvostError): void {
      for (const { job, controller } of running.values()) if (job.kind === 'provision') controller.abort(why)
    },
    /** Returns how many jobs of a name have a slot now. */
    running: (name: JobName) => [...running.values()].filter((job) => job.name === name && job.hasSlot).length,
  }
}

/** Fills are nobody's in particular. */
function clientOf(job: Job): string {
  return 'jail' in job ? job.jail.client : ''
}
