import { Timings } from '#shared/host.ts'
import { firstJobOf, type JobName, lastJobOf } from '#shared/job.ts'
import { hasEnded, type Operation, type Waiting } from '#shared/operation.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { jobId, type QueueKind, queueName, queueOf } from '#shared/redis/queues.ts'
import { answersOf } from '#shared/redis/transactions.ts'
import type { FleetHosts, PlacementHost } from '../placement/placement-host.ts'
import { type NewOperation, toOperation } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import type { Writes } from '../records/watch-writes.ts'
import type { MissingJobs } from './add-missing-jobs.ts'
import { estimateEnd } from './estimate-end.ts'

type Deps = Store & {
  hosts: Pick<FleetHosts, 'get'>
  missingJobs: Pick<MissingJobs, 'faultOf'>
  writes: Pick<Writes, 'reasons'>
}

export type Explain = ReturnType<typeof makeExplain>

const timingsKeptMs = 5_000
// A job further back is shown without a position: searching for it would block Redis.
const farthestPosition = 10_000

/**
 * Returns a function that converts operations to what HTTP shows, with what each of them waits for and an estimate of its end.
 * That is looked up on every call, since a position in a queue changes without the operation.
 */
export function makeExplain({ redis, keys, hosts, missingJobs, writes }: Deps) {
  const timings = new Map<string, { readMs: number; of: Timings }>()

  async function timingsOf(host: string): Promise<Timings> {
    const known = timings.get(host)
    if (known && performance.now() - known.readMs < timingsKeptMs) return known.of
    const of = Timings.safeParse(JSON.parse((await redis.get(keys.hostTimings(host))) ?? '{}')).data ?? {}
    timings.set(host, { readMs: performance.now(), of })
    return of
  }

  /** Returns the position of a job among those that wait in a queue, from 1; undefined if it is not one of them. */
  async function positionIn(queue: QueueKind, host: string, job: string): Promise<number | undefined> {
    const key = `${keys.host(host)}:${queueName(host, queue)}`
    const looks = redis
      .pipeline()
      .llen(`${key}:wait`)
      .lpos(`${key}:wait`, job, 'RANK', -1, 'MAXLEN', farthestPosition)
      .zrank(`${key}:prioritized`, job)
    const [length, fromHead, rank] = (await answersOf(looks)) as (number | null)[]
    // Jobs are taken from the tail of the list; those with a priority come after all of it.
    if (typeof fromHead === 'number') return (length ?? 0) - fromHead
    return typeof rank === 'number' ? (length ?? 0) + rank + 1 : undefined
  }

  async function waitOf(operation: NewOperation, host: PlacementHost | undefined): Promise<Waiting | undefined> {
    const [noWrites] = writes.reasons()
    if (noWrites !== undefined) return { reason: noWrites }
    if (!host) return { reason: `host ${operation.host} has not reported` }
    if (host.state === 'down') return { reason: `host ${host.id} is down` }
    if (host.unfit) return { reason: `host ${host.id} takes no jobs: ${host.unfit}` }
    if (!host.versions.plans.includes(operation.plan))
      return { reason: `the worker of host ${host.id} does not know plans of version ${operation.plan}` }
    // Whatever it would wait for otherwise: nothing can be noted there.
    if (host.disk?.isRefusing) return { reason: `room on the disk of host ${host.id}, which is full` }
    if (operation.waiting) return operation.waiting
    const fault = missingJobs.faultOf(operation.id)
    if (fault !== undefined) return { reason: `its job cannot be added to a queue of host ${host.id}: ${fault}` }
    const job = nextJob(operation)
    if (!job) return undefined
    const queue = queueOf(job, operation.batch !== undefined)
    const position = await positionIn(queue, host.id, jobId(operation.id, operation.wakeup, job))
    return { reason: `queue ${queue} of host ${host.id}`, ...(position === undefined ? {} : { position }) }
  }

  async function explainOne(operation: NewOperation): Promise<Operation> {
    const { waiting: _, ...shown } = toOperation(operation)
    if (hasEnded(operation.status)) return shown
    const host = hosts.get(operation.host)
    const waiting = await waitOf(operation, host)
    const reachable = host && host.state !== 'down' && host.versions.plans.includes(operation.plan)
    const eta = reachable && (await etaOf(operation, host, waiting?.position))
    return { ...shown, ...(waiting ? { waiting } : {}), ...(eta ? { eta } : {}) }
  }

  async function etaOf(operation: NewOperation, host: PlacementHost, position = 0) {
    const world = operation.world ?? operation.request?.world ?? (await worldOf(operation))
    const offered = host.worlds.find(({ name }) => name === world)
    const fills = operation.kind === 'fill' || operation.kind === 'provision'
    return estimateEnd(operation, {
      world,
      timings: await timingsOf(host.id),
      jobsAhead: Math.max(0, position - 1) / host.capacity.builds,
      fillLeft: fills && offered && offered.state !== 'ready' ? 1 - (offered.percent ?? 0) / 100 : undefined,
      nowMs: fleetTimeMs(),
    })
  }

  const worldOf = async ({ jail }: NewOperation) =>
    jail === null ? undefined : ((await redis.hget(keys.jail(jail), 'world')) ?? undefined)

  return (operations: NewOperation[]): Promise<Operation[]> => Promise.all(operations.map(explainOne))
}

/** Returns the job that an operation waits for; undefined while one of its jobs is active. */
function nextJob({ kind, status, step }: NewOperation): JobName | undefined {
  if (status === 'queued') return firstJobOf(kind)
  // The jail is built, and its start has not begun.
  return kind === 'provision' && step === null ? lastJobOf(kind) : undefined
}
