import { type FlowJob, FlowProducer } from 'bullmq'
import { type Job, type JobName, jobsOf } from '#shared/job.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { jobId, queueName, queueOf } from '#shared/redis/queues.ts'
import { isForgottenScript, loadScripts } from '#shared/redis/transactions.ts'
import { withSignature } from '#shared/signing/signatures.ts'
import { type NewJail, toSpec } from '../records/jails/jail-record.ts'
import type { NewOperation } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

// The records are the truth about operations; ended jobs are only kept for people who look at the queue board.
const keepJobs = { removeOnComplete: { count: 100 }, removeOnFail: { age: 30 * 24 * 3_600, count: 1_000 } }

/** A job that waits longer, for a host that is down, is refused by that; then its operation gets new jobs. */
const jobLastsMs = 24 * 3_600_000

/** An operation and the jail that it is about, if the fleet has a record of it. */
export type Enqueued = { operation: NewOperation; jail: NewJail | null }

/** Whether the jobs of an operation can be made: it must be about a world, an orphan of its host, or a jail of the fleet. */
export function hasSubject({ operation, jail }: Enqueued): boolean {
  return operation.kind === 'fill' || operation.orphan !== undefined || jail !== null
}

/** Returns the data of an operation's jobs. */
export function toJob({ jail, operation }: Enqueued): Job {
  const { id, kind, plan, host, epoch, attempt, world, worldDigest, orphan, createdAt, batch, requests } = operation
  const now = fleetTimeMs()
  const times = { issuedAt: new Date(now).toISOString(), expiresAt: new Date(now + jobLastsMs).toISOString() }
  const envelope = { version: 1, operation: id, plan, host, epoch, attempt, ...times } as const
  if (kind === 'fill') return { ...envelope, kind, world: { name: world ?? '', digest: worldDigest ?? '' } }
  const spec = orphan ?? (jail && toSpec(jail))
  if (!spec) throw new Error(`Operation ${id} is about jail ${operation.jail}, which has no record.`)
  const origin = { createdAt, ...(batch === undefined ? {} : { batch }), ...(requests ? { requests } : {}) }
  return { ...envelope, kind, jail: spec, origin }
}

/**
 * Whether a job is taken by its turn among those with a priority, after all without one. Starts are: of jobs without a priority
 * BullMQ takes the one whose child has just ended before all that wait already, so the first of many would start last. One queue
 * has all stops and destroys: those of a batch come after whatever somebody waits for.
 */
function isTakenInTurn(name: JobName, isBatch: boolean): boolean {
  return name === 'start' || (isBatch && queueOf(name, isBatch) === 'stop')
}

/** Adds jobs to the queues of hosts through a BullMQ producer that is replaced after each error. */
export function openQueues({ redis, keys, secrets }: Pick<Store, 'redis' | 'keys' | 'secrets'>) {
  let flows: FlowProducer | undefined

  /** A FlowProducer that was opened while Redis was away never works again, so any error discards it. */
  async function addFlow(flow: FlowJob): Promise<void> {
    flows ??= new FlowProducer({ connection: redis, skipWaitingForReady: true, skipVersionCheck: true }).on(
      'error',
      () => undefined,
    )
    const used = flows
    try {
      await used.add(flow).catch(async (error) => {
        if (!isForgottenScript(error)) throw error
        await loadScripts(redis)
        await used.add(flow)
      })
    } catch (error) {
      if (flows === used) flows = undefined
      used.close().catch(() => undefined)
      throw error
    }
  }

  return {
    /**
     * Adds an operation's jobs to its host's queues: one flow, in which each job waits for the one before it. Adding the same
     * wake-up again changes nothing.
     */
    async enqueue(enqueued: Enqueued): Promise<void> {
      const { operation } = enqueued
      const isBatch = operation.batch !== undefined
      const data = withSignature('job', toJob(enqueued), secrets.signer)
      const toNode = (name: JobName, children: FlowJob[]): FlowJob => ({
        name,
        queueName: queueName(operation.host, queueOf(name, isBatch)),
        prefix: keys.host(operation.host),
        data,
        opts: {
          jobId: jobId(operation.id, operation.wakeup, name),
          ...keepJobs,
          ...(name === 'build' ? { failParentOnFailure: true } : {}),
          ...(isTakenInTurn(name, isBatch) ? { priority: 1 } : {}),
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
