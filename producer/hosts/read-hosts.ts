import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import type { z } from 'zod'
import { type Host, HostBeat, HostReport, resources } from '#shared/host.ts'
import { jailList } from '../records/jails/jail-lists.ts'
import { fromLedger } from '../records/jails/promises.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { HostAnswer } from '../records/scripts.ts'
import type { Store } from '../records/store.ts'

/** What Redis has of one host: what its worker reports, and what producers count. */
export type HostReading = {
  id: string
  /** The same object until the worker writes another report. */
  report: HostReport
  /** Undefined for a worker of a version without beats. */
  beat: HostBeat | undefined
  /** For how long the host still counts as alive; zero or negative once it is silent. */
  ttlMs: number
  promised: Host['promised']
  operations: number
  /** How many records of jails it has: as many as are promised, unless Redis has lost its ledger. */
  jails: number
}

/** What a worker wrote last. `digest`: of the report that was read, if any. */
type Written = { beatText: string | null; beat: HostBeat | undefined; digest?: string; report?: HostReport | undefined }

// Other work can be done between two pages, here and in Redis.
const pageSize = 100

/** Returns a function that reads hosts in the order of `ids`; a report only if the host's beat has another digest of it. */
export function makeReadHosts({ redis, keys, scripts, log }: Store & { log: Logger }) {
  const writtenBy = new Map<string, Written>()

  async function readPage(ids: string[]): Promise<HostReading[]> {
    const keysOf = (id: string) => [
      ...[keys.hostBeat(id), keys.hostAlive(id), keys.promised(id)],
      ...[operationList({ host: id }, keys), jailList({ host: id }, keys)],
    ]
    const answers = await scripts.readHosts(ids.flatMap(keysOf), ...resources)
    for (const [i, id] of ids.entries()) noteBeat(id, answers[i]?.[0] ?? null)
    await readReports(ids.filter((id) => writtenBy.get(id)?.digest !== digestOf(writtenBy.get(id)?.beat)))
    return ids.flatMap((id, i) => {
      const { report, beat } = writtenBy.get(id) ?? {}
      const [, ttlMs, promised, operations, jails] = answers[i] as HostAnswer
      return report ? [{ id, report, beat, ttlMs, promised: fromLedger(promised), operations, jails }] : []
    })
  }

  function noteBeat(id: string, beatText: string | null): void {
    const last = writtenBy.get(id)
    if (last && last.beatText === beatText) return
    writtenBy.set(id, { ...last, beatText, beat: beatText === null ? undefined : parse(HostBeat, id, beatText) })
  }

  async function readReports(ids: string[]): Promise<void> {
    if (ids.length === 0) return
    const texts = await redis.mget(ids.map(keys.hostReport))
    for (const [i, id] of ids.entries()) {
      const last = writtenBy.get(id)
      const text = texts[i]
      if (!last || typeof text !== 'string') writtenBy.delete(id)
      else writtenBy.set(id, { ...last, digest: digestOf(last.beat), report: reportFrom(id, text) })
    }
  }

  function reportFrom(id: string, text: string): HostReport | undefined {
    const report = parse(HostReport, id, text)
    // What is derived from pools is memoized by the array, and pools change less often than worlds.
    const pools = writtenBy.get(id)?.report?.pools
    return report && pools && isDeepStrictEqual(pools, report.pools) ? { ...report, pools } : report
  }

  function parse<S extends z.ZodType>(schema: S, host: string, text: string): z.infer<S> | undefined {
    try {
      return schema.parse(JSON.parse(text))
    } catch (error) {
      log.warn({ host, err: error }, 'what a host says of itself cannot be understood')
      return undefined
    }
  }

  return async function readHosts(ids: string[]): Promise<HostReading[]> {
    const wanted = new Set(ids)
    const readings: HostReading[] = []
    for (let from = 0; from < ids.length; from += pageSize) readings.push(...(await readPage(ids.slice(from, from + pageSize))))
    for (const id of writtenBy.keys()) if (!wanted.has(id)) writtenBy.delete(id)
    return readings
  }
}

const digestOf = (beat: HostBeat | undefined) => beat?.report ?? ''
