import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import type { Job as BullJob, JobJson } from 'bullmq'
import { type ErrorCode, errorCodes, hintOf } from '#shared/errors.ts'
import { Job } from '#shared/job.ts'

/** A queue as the board shows it: each job by what it is for, and each failure with what to do. */
export class QueueAdapter extends BullMQAdapter {
  constructor(...options: ConstructorParameters<typeof BullMQAdapter>) {
    super(...options)
    this.setFormatter('name', (job: unknown) => titleOf(job as Pick<JobJson, 'name' | 'data'>))
  }

  override async getJob(id: string) {
    const job = await super.getJob(id)
    return job && withHint(job)
  }

  override async getJobs(...range: Parameters<BullMQAdapter['getJobs']>) {
    return (await super.getJobs(...range)).map(withHint)
  }
}

/** Returns the jail, its client and its host, or the world of a fill. A job that cannot be read keeps its name. */
export function titleOf({ name, data }: { name: string; data: unknown }): string {
  const job = Job.safeParse(typeof data === 'string' ? JSON.parse(data) : data).data
  if (!job) return name
  if (job.kind === 'fill') return `${name} ${job.world.name} on ${job.host}`
  const { jail } = job
  const client = jail.clientName === undefined ? jail.client : `${jail.client} (${jail.clientName})`
  return `${name} ${jail.name} of ${client} on ${job.host}`
}

function withHint(job: BullJob): BullJob {
  const plain = job.toJSON.bind(job)
  job.toJSON = () => {
    const shown = plain()
    const hint = hintFor(shown.failedReason)
    // Its stack is one of the code that runs jobs, of no use to whoever looks here.
    return hint === undefined ? shown : { ...shown, stacktrace: [`${shown.failedReason}\n\nWhat to do: ${hint}`] }
  }
  return job
}

/** A job fails with the code and the message of its operation. */
function hintFor(failedReason: string | undefined): string | undefined {
  const code = /^([a-z_]+): /.exec(failedReason ?? '')?.[1] as ErrorCode | undefined
  return code && errorCodes.includes(code) ? hintOf(code) : undefined
}
