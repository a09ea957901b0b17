import { type Job as BullJob, DelayedError, Queue, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import { Job, type JobName } from '#shared/job.ts'
import { type QueueKind, queueKinds, queueName } from '#shared/queues.ts'
import { onBehalfOf } from './host/run-command.ts'
import type { OperationLog } from './operation-log.ts'
import type { Outcome } from './run-plan.ts'
import { takeBackJobs } from './take-back-jobs.ts'

type Paused = Extract<Outcome, { type: 'paused' }>

export type ConsumerDeps = {
  host: string
  /** BullMQ's prefix: all that this host writes is below it. */
  prefix: string
  slots: Record<QueueKind, number>
  redis: Redis
  log: Logger
  operationLog(operation: string): OperationLog
  run(job: Job, name: JobName, log: OperationLog, cancel: AbortSignal): Promise<Outcome>
}

export type Consumer = Awaited<ReturnType<typeof consumeJobs>>

// Short, since a run is fenced by the host's lock and its journal, not by BullMQ's.
const timing = { lockDuration: 5_000, stalledInterval: 2_000, maxStalledCount: 1_000_000, drainDelay: 5 }
/** A fill's end wakes the job; this is for when it cannot. */
const pausedForMs = 3_600_000

/** Takes the jobs of this host's queues and runs them, each kind in its own slots. */
export async function consumeJobs(deps: ConsumerDeps) {
  const { host, prefix, redis, log } = deps
  const running = new Map<string, { name: JobName; controller: AbortController }>()
  const options = { connection: redis, prefix }
  const queues = queueKinds.map((kind) => new Queue(queueName(host, kind), options))
  // The connection says by itself when it is away.
  for (const queue of queues) queue.on('error', (error) => log.debug({ err: error, queue: queue.name }, 'queue'))

  /** Runs one job, or the end of an operation that has none here; a cancel of the operation ends it. */
  async function runJob(job: Job, name: JobName): Promise<Outcome> {
    const controller = new AbortController()
    const mine = { name, controller }
    running.set(job.operation, mine)
    const operationLog = deps.operationLog(job.operation)
    try {
      return await onBehalfOf(job.operation, operationLog.record, () => deps.run(job, name, operationLog, controller.signal))
    } finally {
      if (running.get(job.operation) === mine) running.delete(job.operation)
    }
  }

  async function pauseJob(bullJob: BullJob, token: string | undefined, { pause, reporter }: Paused): Promise<never> {
    const { until } = pause
    if ('delayMs' in until) {
      await bullJob.moveToDelayed(Date.now() + until.delayMs, token)
      throw new DelayedError()
    }
    await bullJob.moveToDelayed(Date.now() + pausedForMs, token)
    const stopListening = until.onProgress(reporter.progress)
    const goOn = () => {
      stopListening()
      bullJob.promote().catch((error) => log.debug({ err: error, job: bullJob.id }, 'a paused job was gone or awake already'))
    }
    // How it ended is for the step to find out when it runs again.
    until.until.then(goOn, goOn)
    throw new DelayedError()
  }

  async function wakeJobsOf(operation: string): Promise<void> {
    for (const queue of queues)
      for (const delayed of await queue.getDelayed())
        if (delayed?.data.operation === operation)
          await delayed.promote().catch((error) => log.debug({ err: error, job: delayed.id }, 'a job was awake already'))
  }

  // BullMQ hands the signal out only to a function of three declared parameters.
  async function process(bullJob: BullJob, token: string | undefined, _signal: AbortSignal | undefined): Promise<string> {
    const job = Job.safeParse(bullJob.data)
    if (!job.success) throw new UnrecoverableError(`The job cannot be read: ${job.error.message}`)
    const outcome = await runJob(job.data, bullJob.name as JobName)
    switch (outcome.type) {
      case 'handed-over':
        return 'succeeded'
      case 'paused':
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

  const workers = queueKinds.map((kind) => {
    const worker = new Worker(queueName(host, kind), process, { ...options, ...timing, concurrency: deps.slots[kind] })
    worker.on('error', (error) => log.warn({ err: error, queue: kind }, 'queue'))
    worker.on('failed', (job, error) => log.info({ job: job?.id, reason: error.message }, 'job failed'))
    return worker
  })
  await Promise.all(workers.map((worker) => worker.waitUntilReady()))

  return {
    /** Ends an operation that runs, or undoes one that waits here; its job finds it ended. */
    async cancel(job: Job, name: JobName): Promise<void> {
      const controller = running.get(job.operation)?.controller
      if (controller) return controller.abort(new ProvostError('cancelled', 'The operation was cancelled.'))
      await runJob(job, name).catch((error) => log.error({ err: toProvostError(error), operation: job.operation }, 'cancel'))
      await wakeJobsOf(job.operation)
    },
    /** How many jobs of a name run now. */
    running: (name: JobName) => [...running.values()].filter((job) => job.name === name).length,
    /** Takes no more jobs and waits for those that run, which go no further than their present step. */
    async stop(): Promise<void> {
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all(queues.map((queue) => queue.close()))
    },
  }
}
