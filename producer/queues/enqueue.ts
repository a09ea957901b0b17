import { type FlowJob, FlowProducer } from 'bullmq'
import { type Job, type JobName, jobsOf } from '#shared/job.ts'
import { jobId, queueName, queueOf } from '#shared/redis/queues.ts'
import { type NewJail, toSpec } from '../records/jails/jail-record.ts'
import type { NewOperation } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

// Our record is the truth of an operation; what ended jobs tell is for people at a queue board.
const keepJobs = { removeOnComplete: { count: 100 }, removeOnFail: { age: 30 * 24 * 3_600, count: 1_000 } }

/** An operation with the jail that it is about, if the fleet has a record of it. */
export type Enqueued = { operation: NewOperation; jail: NewJail | null }

/** Whether its jobs can be made: an operation is about a world, an orphan of its host, or a jail of the fleet. */
export function hasSubject({ operation, jail }: Enqueued): boolean {
  return operation.kind === 'fill' || operation.orphan !== undefined || jail !== null
}

/** The jobs of an operation as its host's queues carry them. */
export function toJob({ jail, operation }: Enqueued): Job {
  const { id, kind, plan, host, epoch, attempt, world, worldDigest, orphan, createdAt, batch, requests } = operation
  const envelope = { version: 1, operation: id, plan, host, epoch, attempt, issuedAt: new Date().toISOString() } as const
  if (kind === 'fill') return { ...envelope, kind, world: { name: world ?? '', digest: worldDigest ?? '' } }
  const spec = orphan ?? (jail && toSpec(jail))
  if (!spec) throw new Error(`Operation ${id} is about jail ${operation.jail}, which has no record.`)
  const origin = { createdAt, ...(batch === undefined ? {} : { batch }), ...(requests ? { requests } : {}) }
  return { ...envelope, kind, jail: spec, origin }
}

/** Puts jobs into the queues of hosts, over a connection to BullMQ that is made anew after each fault. */
export function openQueues({ redis, keys }: Pick<Store, 'redis' | 'keys'>) {
  let flows: FlowProducer | undefined

  function openFlows(): FlowProducer {
    const opened = new FlowProducer({ connection: redis, skipWaitingForReady: true })
    opened.on('error', () => undefined)
    return opened
  }

  /** One that has opened while Redis was away is of no use ever after, so whatever fails takes it along. */
  async function addFlow(flow: FlowJob): Promise<void> {
    flows ??= openFlows()
    const used = flows
    try {
      await used.add(flow)
    } catch (error) {
      if (flows === used) flows = undefined
      used.close().catch(() => undefined)
      throw error
    }
  }

  return {
    /**
     * Puts an operation's jobs into its host's queues: one flow, in which each job waits for the one before it. Adding the
     * same wake-up again changes nothing.
     */
    async enqueue(enqueued: Enqueued): Promise<void> {
      const { operation } = enqueued
      const isBatch = operation.batch !== undefined
      const data = toJob(enqueued)
      const toNode = (name: JobName, children: FlowJob[]): FlowJob => ({
        name,
        queueName: queueName(operation.host, queueOf(name, isBatch)),
        prefix: keys.host(operation.host),
        data,
        opts: {
          jobId: jobId(operation.id, operation.wakeup, name),
          ...keepJobs,
          ...(name === 'build' ? { failParentOnFailure: true } : {}),
        },
        ...(children.length > 0 ? { children } : {}),
      })
      const flow = jobsOf[operation.kind].reduce<FlowJob[]>((before, name) => [toNode(name, before)], [])[0]
      if (flow) await addFlow(flow)
      await redis.zrem(keys.wakeups, operation.id)
    },
    name: 'queues',
    stop: async () => flows?.close(),
  }
}
