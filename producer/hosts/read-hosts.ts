import { isDeepStrictEqual } from 'node:util'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { z } from 'zod'
import { type Host, HostBeat, HostReport } from '#shared/host.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'

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

/** Of one host: its beat, how long it is still alive, its ledger, and how many operations on it are open. */
type Answer = [beat: string | null, ttlMs: number, promised: (string | null)[], operations: number]

// One command for many hosts: thousands of them every second would cost this process several times more.
const readScript = `
  local answers = {}
  for i = 1, #KEYS, 4 do
    table.insert(answers, {
      redis.call('GET', KEYS[i]),
      redis.call('PTTL', KEYS[i + 1]),
      redis.call('HMGET', KEYS[i + 2], 'jails', 'memory', 'cpu', 'disk'),
      redis.call('ZCARD', KEYS[i + 3]),
    })
  end
  return answers`

// Between two pages other work gets its turn, here and in Redis.
const pageSize = 100

/** Gives a function that reads hosts in the order of `ids`; the report of one only when its beat says that it changed. */
export function makeReadHosts({ redis, keys, log }: { redis: Redis; keys: RedisKeys; log: Logger }) {
  const saidBy = new Map<string, Said>()

  async function readPage(ids: string[]): Promise<HostReading[]> {
    const named = ids.flatMap((id) => [keys.hostBeat(id), keys.hostAlive(id), keys.promised(id), keys.operations('host', id)])
    const answers = (await redis.eval(readScript, named.length, ...named)) as Answer[]
    for (const [i, id] of ids.entries()) noteBeat(id, answers[i]?.[0] ?? null)
    await readReports(ids.filter((id) => saidBy.get(id)?.digest !== digestOf(saidBy.get(id)?.beat)))
    return ids.flatMap((id, i) => {
      const { report, beat } = saidBy.get(id) ?? {}
      const [, ttlMs, promised, operations] = answers[i] as Answer
      return report ? [{ id, report, beat, ttlMs, promised: promisedFrom(promised), operations }] : []
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

function promisedFrom(ledger: Answer[2]): Host['promised'] {
  const [jails = 0, memory = 0, cpu = 0, disk = 0] = ledger.map(Number)
  return { jails, memory, cpu: cpu / 1000, disk }
}
