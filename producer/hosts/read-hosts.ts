import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import type { z } from 'zod'
import { type Host, HostBeat, HostReport, resources } from '#shared/host.ts'
import { fromLedger } from '../records/jails/promises.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { HostAnswer } from '../records/scripts.ts'
import type { Store } from '../records/store.ts'

/** What Redis has of one host: what its worker says, and what producers count. */
export type HostReading = {
  id: string
  /** The same object as long as the worker says the same. */
  report: HostReport
  /** None of a worker that is older than beats are. */
  beat: HostBeat | undefined
  /** For how long the host still counts as alive; not positive once it is silent. */
  ttlMs: number
  promised: Host['promised']
  operations: number
}

/** What a worker said last. `digest`: of the report that was read, if any was. */
type Said = { beatText: string | null; beat: HostBeat | undefined; digest?: string; report?: HostReport | undefined }

// Between two pages other work gets its turn, here and in Redis.
const pageSize = 100

/** Returns a function that reads hosts in the order of `ids`; the report of one only when its beat says that it changed. */
export function makeReadHosts({ redis, keys, scripts, log }: Store & { log: Logger }) {
  const saidBy = new Map<string, Said>()

  async function readPage(ids: string[]): Promise<HostReading[]> {
    const keysOf = (id: string) => [keys.hostBeat(id), keys.hostAlive(id), keys.promised(id), operationList({ host: id }, keys)]
    const answers = await scripts.readHosts(ids.flatMap(keysOf), ...resources)
    for (const [i, id] of ids.entries()) noteBeat(id, answers[i]?.[0] ?? null)
    await readReports(ids.filter((id) => saidBy.get(id)?.digest !== digestOf(saidBy.get(id)?.beat)))
    return ids.flatMap((id, i) => {
      const { report, beat } = saidBy.get(id) ?? {}
      const [, ttlMs, promised, operations] = answers[i] as HostAnswer
      return report ? [{ id, report, beat, ttlMs, promised: fromLedger(promised), operations }] : []
    })
  }

  function noteBeat(id: string, beatText: string | null): void {
    const said = saidBy.get(id)
    if (said && said.beatText === beatText) return
    saidBy.set(id, { ...said, beatText, beat: beatText === null ? undefined : understand(HostBeat, id, beatText) })
  }

  async function readReports(ids: string[]): Promise<void> {
    if (ids.length === 0) return
    const texts = await redis.mget(ids.map(keys.hostReport))
    for (const [i, id] of ids.entries()) {
      const said = saidBy.get(id)
      const text = texts[i]
      if (!said || typeof text !== 'string') saidBy.delete(id)
      else saidBy.set(id, { ...said, digest: digestOf(said.beat), report: reportFrom(id, text) })
    }
  }

  function reportFrom(id: string, text: string): HostReport | undefined {
    const report = understand(HostReport, id, text)
    // What follows from pools is kept with them, and they change less often than worlds do.
    const pools = saidBy.get(id)?.report?.pools
    return report && pools && isDeepStrictEqual(pools, report.pools) ? { ...report, pools } : report
  }

  function understand<S extends z.ZodType>(schema: S, host: string, text: string): z.infer<S> | undefined {
    try {
      return schema.parse(JSON.parse(text))
    } catch (error) {
      log.warn({ host, err: error }, 'what a host says of itself cannot be understood')
      return undefined
    }
  }

  return async function readHosts(ids: string[]): Promise<HostReading[]> {
    const readings: HostReading[] = []
    for (let from = 0; from < ids.length; from += pageSize) readings.push(...(await readPage(ids.slice(from, from + pageSize))))
    const there = new Set(ids)
    for (const id of saidBy.keys()) if (!there.has(id)) saidBy.delete(id)
    return readings
  }
}

const digestOf = (beat: HostBeat | undefined) => beat?.report ?? ''
