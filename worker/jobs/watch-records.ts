import type { Logger } from 'pino'
import type { ProvostError } from '#shared/errors.ts'
import type { Job, JobName } from '#shared/job.ts'
import type { Standing } from '../plans/read-record.ts'
import { whyNotWanted } from '../plans/run.ts'

export type OpenJob = { job: Job; name: JobName }

type Deps = {
  /** What runs here or waits. */
  open(): OpenJob[]
  standing(job: Job): Promise<Standing>
  end(open: OpenJob, why: ProvostError): Promise<void>
  everyMs: number
  log: Pick<Logger, 'warn'>
}

/**
 * Looks at the records of all that is open here, also within a step: the notice of a cancel may have been missed, or the
 * operation was ended while this worker was away. Gives what ends that.
 */
export function watchStanding({ open, standing, end, everyMs, log }: Deps): () => void {
  let looking = false

  async function look(): Promise<void> {
    await Promise.all(
      open().map(async (each) => {
        const why = whyNotWanted(each.job, await standing(each.job))
        if (why) await end(each, why)
      }),
    )
  }

  const timer = setInterval(async () => {
    // While Redis is away the look under way waits for it.
    if (looking) return
    looking = true
    await look().catch((error) => log.warn({ err: error }, 'how open operations stand could not be read'))
    looking = false
  }, everyMs)
  return () => clearInterval(timer)
}
