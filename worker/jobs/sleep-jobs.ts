import { type Job as BullJob, DelayedError, type Queue } from 'bullmq'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import type { Outcome } from '../plans/run.ts'

type Paused = Extract<Outcome, { type: 'paused' }>

type Deps = {
  queues: Queue[]
  /** After how many milliseconds a job that waits for something looks by itself whether it has happened. */
  asleepMs: number
  stopping: AbortSignal
}

/** Returns what lets jobs sleep in their queue, without a slot, until their time or what they wait for has come. */
export function makeSleepJobs({ queues, asleepMs, stopping }: Deps) {
  /** By operation that waits for a fill: ends its calls with the fill's progress. */
  const listening = new Map<string, () => void>()

  /** Tries until Redis takes it, or the job is gone or awake: it would sleep for long. Never throws. */
  async function wake(job: BullJob): Promise<void> {
    const promote = async () => {
      if (await job.isDelayed()) await job.promote()
    }
    await untilRedisAnswers(stopping, promote).catch(() => undefined)
  }

  return {
    /** @throws DelayedError by which BullMQ knows that the job sleeps. */
    async sleep(job: BullJob, token: string | undefined, { pause, progress }: Paused): Promise<never> {
      const { until } = pause
      if ('delayMs' in until) {
        await job.moveToDelayed(Date.now() + until.delayMs, token)
        throw new DelayedError()
      }
      const { operation } = job.data
      listening.get(operation)?.()
      listening.set(
        operation,
        until.onProgress((fraction) => progress?.(fraction)),
      )
      const goOn = () => {
        listening.get(operation)?.()
        listening.delete(operation)
        void wake(job)
      }
      try {
        await job.moveToDelayed(Date.now() + asleepMs, token)
      } finally {
        // Also when Redis was gone before it could answer that the job sleeps. How the fill ended is for the step to find out.
        until.until.then(goOn, goOn)
      }
      throw new DelayedError()
    },
    async wakeJobsOf(operation: string): Promise<void> {
      for (const queue of queues)
        for (const delayed of await queue.getDelayed()) if (delayed?.data.operation === operation) await wake(delayed)
    },
  }
}
