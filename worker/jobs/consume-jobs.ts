import { type Job as BullJob, DelayedError, Queue, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { z } from 'zod'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import { Job, type JobName } from '#shared/job.ts'
import type { Timing } from '#shared/process/timing.ts'
import { type QueueKind, queueKinds, queueName } from '#shared/redis/queues.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import { onBehalfOf } from '../host/run-command.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import type { Standing } from '../plans/read-record.ts'
import type { Outcome } from '../plans/run.ts'
import { makeSlots } from './slots.ts'
import { takeBackJobs } from './take-back-jobs.ts'
import { type OpenJob, watchStanding } from './watch-records.ts'

type Paused = Extract<Outcome, { type: 'paused' }>

export type ConsumerDeps = {
  host: string
  /** BullMQ's prefix: all that this host writes is below it. */
  prefix: string
  /** A batch shares those of builds and starts with others, and never holds the last one. */
  slots: Record<'build' | 'start' | 'stop', number>
  /** Aborted when the worker stops: what still waits for a slot goes back into its queue. */
  stopping: AbortSignal
  timing: Pick<Timing, 'lock' | 'stalled' | 'asleep' | 'standing'>
  redis: Redis
  log: Logger
  operationLog(operation: string): OperationLog
  run(job: Job, name: JobName, log: OperationLog, cancel: AbortSignal): Promise<Outcome>
  standing(job: Job): Promise<Standing>
  /** Ends the operation of a job whose data cannot be read. Undefined when it cannot be told which one that is. */
  refuseUnreadable(data: unknown, fault: string): Promise<ProvostError | undefined>
}

export type Consumer = Awaited<ReturnType<typeof consumeJobs>>

// Short, since a run is fenced by the host's lock and its journal, not by BullMQ's.
const often = { maxStalledCount: 1_000_000, drainDelay: 5 }
const keptEvents = 100

/** Takes the jobs of this host's queues and runs them, each kind in its own slots. */
export async function consumeJobs(deps: ConsumerDeps) {
  const { host, prefix, redis, log } = deps
  const running = new Map<string, OpenJob & { controller: AbortController; waits: boolean }>()
  /** By operation, what has given its slot back and goes on later. */
  const paused = new Map<string, OpenJob>()
  /** By operation that waits for a fill, what ends its hearing of the fill's progress. */
  const listening = new Map<string, () => void>()
  const builds = makeSlots(deps.slots.build)
  const starts = makeSlots(deps.slots.start)
  const options = { connection: redis, prefix }
  // Nobody follows BullMQ's own events; by default each queue keeps 10,000 of them.
  const streams = { events: { maxLen: keptEvents } }
  const queues = queueKinds.map((kind) => new Queue(queueName(host, kind), { ...options, streams }))
  // The connection says by itself when it is away.
  for (const queue of queues) queue.on('error', (error) => log.debug({ err: error, queue: queue.name }, 'queue'))

  /**
   * Runs one job, in a slot where its queue shares them, or, without a queue, the end of an operation that has no job here.
   * A cancel of the operation ends it, also while it waits for a slot.
   */
  async function runJob(job: Job, name: JobName, queue?: QueueKind): Promise<Outcome> {
    const controller = new AbortController()
    const mine = { job, name, controller, waits: true }
    running.set(job.operation, mine)
    paused.delete(job.operation)
    const operationLog = deps.operationLog(job.operation)
    const giveBack = await takeSlot(queue, controller.signal)
    mine.waits = false
    try {
      if (queue && deps.stopping.aborted) return { type: 'interrupted' }
      return await onBehalfOf(job.operation, operationLog.record, () => deps.run(job, name, operationLog, controller.signal))
    } finally {
      giveBack?.()
      if (running.get(job.operation) === mine) running.delete(job.operation)
    }
  }

  function takeSlot(queue: QueueKind | undefined, cancel: AbortSignal): Promise<(() => void) | undefined> {
    const signal = AbortSignal.any([cancel, deps.stopping])
    switch (queue) {
      case 'build':
        return builds.take('interactive', signal)
      case 'batch-build':
        return builds.take('batch', signal)
      case 'start':
        return starts.take('interactive', signal)
      case 'batch-start':
        return starts.take('batch', signal)
      default:
        return Promise.resolve(undefined)
    }
  }

  async function pauseJob(bullJob: BullJob, token: string | undefined, { pause, progress }: Paused): Promise<never> {
    const { until } = pause
    if ('delayMs' in until) {
      await bullJob.moveToDelayed(Date.now() + until.delayMs, token)
      throw new DelayedError()
    }
    const { operation } = bullJob.data
    listening.get(operation)?.()
    listening.set(
      operation,
      until.onProgress((fraction) => progress?.(fraction)),
    )
    const goOn = () => {
      listening.get(operation)?.()
      listening.delete(operation)
      void wake(bullJob)
    }
    try {
      await bullJob.moveToDelayed(Date.now() + deps.timing.asleep, token)
    } finally {
      // Also when Redis was gone before it could say that the job sleeps. How it ended is for the step to find out.
      until.until.then(goOn, goOn)
    }
    throw new DelayedError()
  }

  /** It would sleep for long, so that it is tried until Redis takes it, or the job is gone or awake. Never throws. */
  async function wake(job: BullJob): Promise<void> {
    const promote = async () => {
      if (await job.isDelayed()) await job.promote()
    }
    await untilRedisAnswers(deps.stopping, promote).catch(() => undefined)
  }

  async function wakeJobsOf(operation: string): Promise<void> {
    for (const queue of queues)
      for (const delayed of await queue.getDelayed()) if (delayed?.data.operation === operation) await wake(delayed)
  }

  async function processJob(queue: QueueKind, bullJob: BullJob, token: string | undefined): Promise<string> {
    const { data: job, error } = Job.safeParse(bullJob.data)
    if (!job) {
      const fault = z.prettifyError(error).replaceAll('\n', ' ')
      const refusal = await deps.refuseUnreadable(bullJob.data, fault)
      throw new UnrecoverableError(refusal ? `${refusal.code}: ${refusal.message}` : `The job cannot be read: ${fault}`)
    }
    const name = bullJob.name as JobName
    const outcome = await runJob(job, name, queue)
    switch (outcome.type) {
      case 'handed-over':
        return 'succeeded'
      case 'paused':
        paused.set(job.operation, { job, name })
        return pauseJob(bullJob, token, outcome)
      case 'interrupted':
        await bullJob.moveToWait(token)
        throw new WaitingError()
      case 'ended': {
        const { status, error } = outcome.report
        if (status === 'succeeded') return status
        throw new UnrecoverableError(error ? `${error.code}: ${error.message}` : status)
      }
    }
  }

  const taken = await takeBackJobs(queues, redis)
  if (taken > 0) log.info({ jobs: taken }, 'took back the jobs of an earlier worker')

  const { build, start } = deps.slots
  const concurrency = { ...deps.slots, 'batch-build': Math.max(1, build - 1), 'batch-start': Math.max(1, start - 1) }
  const timing = { ...often, lockDuration: deps.timing.lock, stalledInterval: deps.timing.stalled }
  const workers = queueKinds.map((kind) => {
    const process = (job: BullJob, token?: string) => processJob(kind, job, token)
    const worker = new Worker(queueName(host, kind), process, { ...options, ...timing, concurrency: concurrency[kind] })
    worker.on('error', (error) => log.warn({ err: error, queue: kind }, 'queue'))
    worker.on('failed', (job, error) => log.info({ job: job?.id, reason: error.message }, 'job failed'))
    return worker
  })
  await Promise.all(workers.map((worker) => worker.waitUntilReady()))

  /** Ends an operation that runs, or undoes one that waits here; its job finds it ended. */
  async function end({ job, name }: OpenJob, why: ProvostError): Promise<void> {
    const open = running.get(job.operation)
    // It is about an attempt before this one, and was long on its way.
    if (((open ?? paused.get(job.operation))?.job.epoch ?? 0) > job.epoch) return
    if (open) return open.controller.abort(why)
    await runJob(job, name).catch((error) => log.error({ err: toProvostError(error), operation: job.operation }, 'cancel'))
    await wakeJobsOf(job.operation)
  }

  const stopWatching = watchStanding({
    open: () => [...running.values(), ...paused.values()],
    standing: deps.standing,
    async end(open, why) {
      if (why.code !== 'cancelled') log.warn({ operation: open.job.operation, reason: why.message }, 'comes too late')
      await end(open, why)
    },
    everyMs: deps.timing.standing,
    log,
  })

  return {
    cancel: (open: OpenJob) => end(open, new ProvostError('cancelled', 'The operation was cancelled.')),
    /** How many jobs of a name run now, in a slot. */
    running: (name: JobName) => [...running.values()].filter((job) => job.name === name && !job.waits).length,
    /** Takes no more jobs and waits for those that run, which go no further than their present step. */
    async stop(): Promise<void> {
      stopWatching()
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all(queues.map((queue) => queue.close()))
    },
  }
}
