import type { Redis } from 'ioredis'
import type { ProvostError } from '#shared/errors.ts'
import type { JailJob, Job } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { JailFacts, mustBeOnHost, OperationFacts, readFacts } from '#shared/redis/record-facts.ts'
import type { Recorded } from './recorded.ts'

/** What a worker asks Redis with; `root`: where this host keeps its jails, the same after each of its boots. */
type AskDeps = { redis: Redis; keys: RedisKeys; presence: HostName; root: string }

/** The host's name, as long as this worker has it. */
type HostName = {
  key: string
  worker: string
  lastsMs: number
  /** Takes who has the name, as Redis has just said. */
  note(holder: string | null): void
  /** Why this worker has the name no longer. */
  loss(): ProvostError | undefined
}

/** What became of the binding of an operation to its host; `elsewhere`: another root of a host of this name has begun it. */
export type Binding = { type: 'bound' } | { type: 'moved' } | { type: 'elsewhere'; root: string }

const bindScript = `
  local worker = redis.call('GET', KEYS[1])
  if worker and worker ~= ARGV[1] then return { 'lost', worker } end
  if worker then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  local before = redis.call('GET', KEYS[2])
  if before then return { 'before', before } end
  redis.call('SET', KEYS[2], ARGV[3])
  return { 'bound' }`

/**
 * Binds an operation to its host, in one atomic step with a look at who has the host's name. Who binds and who moves set the same
 * key, which must not be there yet. The same root may bind the same epoch again; one of an older worker, or of a rebuilt record,
 * names no root. The key stays until the producer has applied the operation's end, since until then the operation looks as if it
 * could still be moved.
 *
 * @throws ProvostError `host_unfit` when another worker has the host's name.
 */
export async function bindOperation({ redis, keys, presence, root }: AskDeps, job: JailJob): Promise<Binding> {
  const bound = `bound ${job.epoch}`
  const binding = keys.binding(job.host, job.operation, job.epoch)
  const own = `${bound} by ${root}`
  const answer = await redis.eval(bindScript, 2, presence.key, binding, presence.worker, presence.lastsMs, own)
  const [type, what = ''] = answer as [string, string?]
  if (type === 'lost') presence.note(what)
  throwIfLost(presence)
  if (type === 'bound' || what === own || what === bound) return { type: 'bound' }
  return what.startsWith(`${bound} by `) ? { type: 'elsewhere', root: what.slice(bound.length + 4) } : { type: 'moved' }
}

/**
 * Reads an operation's record, at a job's pickup and between its steps, and who has the host's name.
 * @throws ProvostError `host_unfit` when that is another worker.
 */
export async function readRecorded({ redis, keys, presence }: AskDeps, job: Job): Promise<Recorded> {
  const [[record], holder, isJailHere] = await Promise.all([
    readFacts(redis, OperationFacts, [keys.operation(job.operation)]),
    redis.get(presence.key),
    job.kind === 'fill' || job.kind === 'provision' ? false : isRecordedHere(redis, keys, job),
  ])
  presence.note(holder)
  throwIfLost(presence)
  if (!record) return { cancelled: false, moved: false, ended: false, lost: true }
  const { cancelRequested, epoch, host, attempt, status, sequence } = record
  const moved = epoch > job.epoch && (job.kind === 'fill' || host !== job.host)
  const ended = attempt > job.attempt || ['succeeded', 'failed', 'cancelled'].includes(status)
  return { cancelled: cancelRequested === '1', moved, ended: ended && !moved, isJailHere, sequence }
}

async function isRecordedHere(redis: Redis, keys: RedisKeys, { host, jail }: JailJob): Promise<boolean> {
  const [record] = await readFacts(redis, JailFacts, [keys.jail(jail.name)])
  return record?.provision === jail.provision && record.host === host && mustBeOnHost(record)
}

function throwIfLost(presence: HostName): void {
  const loss = presence.loss()
  if (loss) throw loss
}
