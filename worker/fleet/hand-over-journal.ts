import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { v7 as uuid } from 'uuid'
import { FleetHost, type Upload, type UploadEntry } from '#shared/recovery.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { readFleetId } from '#shared/redis/record-facts.ts'
import type { JailReport } from '#shared/report.ts'
import type { Journal } from '../journal/journal.ts'
import { summarizeEnded, uploadedJails, uploadedOperations } from './upload-entries.ts'

export type HandOverDeps = {
  hostId: string
  redis: Redis
  keys: RedisKeys
  journal: Journal
  /** By jail, the last report between operations. */
  lastReports: ReadonlyMap<string, JailReport>
  send(report: JailReport): Promise<void>
  /** Between two looks at whether a producer has read it in, in milliseconds. */
  lookMs: number
  stopping: AbortSignal
}

const entriesAtOnce = 500

/** An upload: its id, and the jails in it by name. */
type Uploaded = { id: string; jails: ReadonlyMap<string, { at: string }> }

/**
 * Uploads the journal for a fleet, and waits until a producer has read it in. Returns false when Redis has another fleet by
 * then, or the worker stops. `keep` is called before the upload is removed: should this worker be killed, it is not repeated.
 */
export async function handOverJournal(fleet: string, keep: () => Promise<void>, deps: HandOverDeps): Promise<boolean> {
  const { hostId, redis, keys, lookMs, stopping } = deps
  const uploaded = await upload(fleet, deps)
  for (;;) {
    if (stopping.aborted) return false
    const [now, answer] = await Promise.all([readFleetId(redis, keys), redis.hget(keys.fleetHosts, hostId)])
    if (now !== fleet) return false
    if (answer !== null && FleetHost.parse(JSON.parse(answer)).upload === uploaded.id) break
    await sleep(lookMs)
  }
  await keep()
  await redis.del(keys.hostUpload(hostId), keys.hostJournal(hostId))
  await sendChanges(uploaded, deps)
  return true
}

async function upload(fleet: string, { hostId, redis, keys, journal, lastReports }: HandOverDeps): Promise<Uploaded> {
  const id = uuid()
  const list = keys.hostJournal(hostId)
  const summary = await summarizeEnded(journal)
  const jails = [...uploadedJails(journal, summary, lastReports)]
  const epoch = Math.max(0, ...jails.map((jail) => jail.epoch), ...summary.epochs.values())
  const write = async (operations: number, isComplete: boolean) => {
    const state: Upload = { id, fleet, jails: jails.length, operations, epoch, isComplete }
    await redis.set(keys.hostUpload(hostId), JSON.stringify(state))
  }
  await write(summary.epochs.size, false)
  await redis.del(list)
  let page: UploadEntry[] = []
  const flush = async () => {
    if (page.length > 0) await redis.rpush(list, ...page.map((entry) => JSON.stringify(entry)))
    page = []
  }
  const add = async (entry: UploadEntry) => {
    if (page.push(entry) >= entriesAtOnce) await flush()
  }
  for (const jail of jails) await add(jail)
  let operations = 0
  for await (const operation of uploadedOperations(journal, summary, hostId)) {
    operations += 1
    await add(operation)
  }
  await flush()
  await write(operations, true)
  return { id, jails: new Map(jails.map((jail) => [jail.spec.name, jail])) }
}

/** Sends what was reported of jails while the fleet had no records of them. */
async function sendChanges({ jails }: Uploaded, { lastReports, journal, send }: HandOverDeps): Promise<void> {
  for (const [name, report] of lastReports) {
    const then = jails.get(name)
    if (then && report.at > then.at && journal.epochOf(name) === report.epoch) await send(report)
  }
}
