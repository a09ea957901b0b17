import { setTimeout } from 'node:timers/promises'
import { type Job as BullJob, Queue, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { ProvostError } from '#shared/errors.ts'
import { Job, type JobName } from '#shared/job.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Timing } from '#shared/process/timing.ts'
import { type QueueKind, queueKinds, queueName } from '#shared/redis/queues.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import type { VerifyJob } from '../identity/verify-job.ts'
import type { Outcome } from '../plans/run.ts'
import { Pause } from '../plans/steps/pause.ts'
import { makeOpenJobs, type OpenJobsDeps } from './open-jobs.ts'
import { makeQueueSlots } from './queue-slots.ts'
import { makeSleepJobs } from './sleep-jobs.ts'
import { takeBackJobs } from './take-back-jobs.ts'

type Slots = Record<'build' | 'start' | 'stop', number>

type Deps = Omit<OpenJobsDeps, 'slots' | 'overdueMs' | 'wake'> & {
  hostId: string
  /** BullMQ's prefix: all that this host writes is below it. */
  prefix: string
  /** Batches share those of builds and starts with others, and never get the last one, unless there is only one. */
  slots: Slots
  timing: Pick<Timing, 'lock' | 'stalled' | 'asleep' | 'overdue' | 'recorded'>
  repeat: Repeat
  redis: Redis
  /** Why a job must not be obeyed; asked before anything of it is read. */
  verify: VerifyJob
  /** Ends the operation of a job whose data cannot be read. Returns undefined when it is unclear which one that is. */
  refuseUnreadable(data: unknown, fault: string): Promise<ProvostError | undefined>
}

export type Consumer = Awaited<ReturnType<typeof consumeJobs>>

// A job may stall any number of times: a run is fenced by the host's lock and its journal, not by BullMQ's lock.
const often = { maxStalledCount: 1_000_000, drainDelay: 5 }
// Nobody follows BullMQ's own events; by default each queue keeps 10,000 of them.
const streams = { events: { maxLen: 100 } }

/** Takes the jobs from this host's queues and runs them, each kind in its own slots. */
export async function consumeJobs(deps: Deps) {
  const { redis, stopping, log } = deps
  // BullMQ asks for the version of Redis by INFO, which a user of Redis may not be allowed.
  const skipVersionCheck = await untilRedisAnswers(stopping, () => isRefused(redis))
  const queues = openQueues(deps, skipVersionCheck)
  const sleeping = makeSleepJobs({ queues, asleepMs: deps.timing.asleep, stopping })
  const slots = makeQueueSlots(deps.slots)
  const open = makeOpenJobs({ ...deps, slots, overdueMs: deps.timing.overdue, wake: sleeping.wakeJobsOf })
  /** By operation, what goes on without a slot, while its job sleeps. */
  const overdue = new Map<string, Promise<void>>()

  async function processJob(queue: QueueKind, bullJob: BullJob, token: string | undefined): Promise<string> {
    const refusal = deps.verify(bullJob.data, bullJob.name)
    if (refusal) throw new UnrecoverableError(`${refusal.code}: ${refusal.message}`)
    const { data: job, error } = Job.safeParse(bullJob.data)
    if (!job) throw await refuse(bullJob.data, error)
    const name = bullJob.name as JobName
    const sleepUntil = (end: Promise<void>) =>
      sleeping.sleep(bullJob, token, {
        type: 'paused',
        pause: new Pause('the jail itself', { until: end, onProgress: noProgress }),
      })
    const before = overdue.get(job.operation)
    if (before) return sleepUntil(before)
    const outcome = await runOrLeave(job, name, queue)
    if ('end' in outcome) return sleepUntil(outcome.end)
    switch (outcome.type) {
      case 'handed-over':
        return 'succeeded'
      case 'paused':
        open.pause({ job, name })
        return sleeping.sleep(bullJob, token, outcome)
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

  /**
   * Runs a job. What a client's tree can delay (its /etc/rc, a process that does not end) goes on beside the others when it is overdue: then
   * this returns before its end, and the job looks once more after it.
   */
  async function runOrLeave(job: Job, name: JobName, queue: QueueKind): Promise<Outcome | { end: Promise<void> }> {
    const isOverdue = Promise.withResolvers<'overdue'>()
    const run = open.runInSlot(job, name, queue, isDelayable(queue) ? () => isOverdue.resolve('overdue') : undefined)
    const first = await Promise.race([run, isOverdue.promise])
    if (first !== 'overdue') return first
    const end = run
      .then((outcome) => (outcome.type === 'paused' ? untilOver(outcome.pause, stopping) : undefined))
      .catch((error) => log.error({ err: error, operation: job.operation }, 'a job that took long failed, and is run again'))
      .finally(() => overdue.delete(job.operation))
    overdue.set(job.operation, end)
    return { end }
  }

  async function refuse(data: unknown, error: z.ZodError): Promise<UnrecoverableError> {
    const fault = z.prettifyError(error).replaceAll('\n', ' ')
    const refusal = await deps.refuseUnreadable(data, fault)
    return new UnrecoverableError(refusal ? `${refusal.code}: ${refusal.message}` : `The job cannot be read: ${fault}`)
  }

  const taken = await takeBackJobs(queues, redis)
  if (taken > 0) log.info({ jobs: taken }, 'took back the jobs of an earlier worker')
  const workers = openWorkers(deps, processJob, skipVersionCheck)
  await Promise.all(workers.map((worker) => worker.waitUntilReady()))
  const looking = deps.repeat('end-unwanted', deps.timing.recorded, open.endUnwanted)

  return {
    cancel: open.cancel,
    abandonProvisions: open.abandonProvisions,
    running: open.running,
    /** Takes no more jobs and waits for those that run, which end after their present step. */
    async stop(): Promise<void> {
      const looked = looking.stop()
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all(overdue.values())
      await looked
      await Promise.all(queues.map((queue) => queue.close()))
    },
  }
}

const noProgress = () => () => undefined

/** A build copies or clones what is the host's own; a fill has a pause of its own. */
function isDelayable(queue: QueueKind): boolean {
  return ['start', 'batch-start', 'stop'].includes(queue)
}

async function untilOver({ until }: Pause, stopping: AbortSignal): Promise<void> {
  if ('until' in until) return until.until.catch(() => undefined)
  await setTimeout(until.delayMs, undefined, { signal: stopping }).catch(() => undefined)
}

/** Whether Redis refuses INFO. */
async function isRefused(redis: Redis): Promise<boolean> {
  return redis.info('server').then(
    () => false,
    (error: Error) => {
      if (/^(NOPERM|ERR)\b/.test(error.message)) return true
      throw error
    },
  )
}

function openQueues({ hostId, prefix, redis, log }: Deps, skipVersionCheck: boolean): Queue[] {
  const options = { connection: redis, prefix, streams, skipVersionCheck }
  const queues = queueKinds.map((kind) => new Queue(queueName(hostId, kind), options))
  // The connection itself logs that it is away.
  for (const queue of queues) queue.on('error', (error) => log.debug({ err: error, queue: queue.name }, 'queue'))
  return queues
}

type Process = (queue: QueueKind, job: BullJob, token: string | undefined) => Promise<string>

function openWorkers({ hostId, prefix, redis, slots, timing, log }: Deps, process: Process, skipVersionCheck: boolean): Worker[] {
  const { build, start } = slots
  const concurrency = { ...slots, 'batch-build': Math.max(1, build - 1), 'batch-start': Math.max(1, start - 1) }
  const locks = { lockDuration: timing.lock, stalledInterval: timing.stalled }
  return queueKinds.map((kind) => {
    const options = { connection: redis, prefix, skipVersionCheck, ...often, ...locks, concurrency: concurrency[kind] }
    const worker = new Worker(queueName(hostId, kind), (job, token) => process(kind, job, token), options)
    worker.on('error', (error) => log.warn({ err: error, queue: kind }, 'queue'))
    worker.on('failed', (job, error) => log.info({ job: job?.id, reason: error.message }, 'job failed'))
    return worker
  })
}
