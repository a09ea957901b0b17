import { copyFile } from 'node:fs/promises'
import pLimit from 'p-limit'
import { z } from 'zod'
import type { JailJob } from '#shared/job.ts'
import { OperationReport } from '#shared/report.ts'
import { JournaledJob } from './entries.ts'
import { appendEntries, copyEntries, journalFiles, lineAt, readLines } from './file.ts'
import { type AsideLog, nameAside } from './set-aside.ts'

export type Attempt = Pick<JailJob, 'operation' | 'epoch' | 'attempt'>

/** What a start reads of each report. */
const EndedIndex = z.object({
  operation: z.string(),
  epoch: z.int(),
  attempt: z.int(),
  jail: z.string(),
  at: z.string(),
  jailState: z.string(),
  job: z.object({ spec: z.object({ provision: z.string() }) }).optional(),
})

const EndedOperation = OperationReport.extend({ job: JournaledJob.optional() })

/** The states of a jail after an operation that leaves nothing of it on its host, or what is removed by and by. */
const leavesNothing = ['gone', 'failed', 'destroying']

/** The last report of an operation, and its job where that was noted with it. */
type Ended = { report: OperationReport; job: JournaledJob | undefined }

function readEnded(line: string): Ended {
  const { job, ...report } = EndedOperation.parse(JSON.parse(line))
  const kind = report.kind ?? job?.kind
  return { report: { ...report, ...(kind ? { kind } : {}) }, job }
}

function tryRead(line: string): Ended | undefined {
  try {
    return readEnded(line)
  } catch {
    return undefined
  }
}

const keptMs = 30 * 24 * 3_600_000

/**
 * Opens the last reports of all operations that have ended on this host: a file with one in each line, for at least 30 days. Memory
 * has only the place of each in the file, since they are seldom asked for and may be very many.
 */
export async function openEndedOperations(path: string, log: AsideLog, files = journalFiles) {
  /** By attempt, where its line begins. */
  const places = new Map<string, number>()
  const epochs = new Map<string, number>()
  /** By jail of which nothing is left, its provision; undefined where an older worker has not noted it. */
  const gone = new Map<string, string | undefined>()
  let highest = 0
  const appends = pLimit(1)

  function remember(ended: z.infer<typeof EndedIndex>, place: number): void {
    places.set(keyOf(ended), place)
    epochs.set(ended.jail, Math.max(ended.epoch, epochs.get(ended.jail) ?? 0))
    highest = Math.max(highest, ended.epoch)
    if (leavesNothing.includes(ended.jailState)) gone.set(ended.jail, ended.job?.spec.provision)
    else gone.delete(ended.jail)
  }

  const parse = (line: string) => EndedIndex.parse(JSON.parse(line))
  const isKept = ({ at }: { at: string }, nowMs: number) => nowMs - Date.parse(at) < keptMs

  async function index(): Promise<void> {
    for (const each of [places, epochs, gone]) each.clear()
    for await (const { line, place } of readLines(path)) remember(parse(line), place)
  }

  /** The lines are in the order of their ends, so no other is older. */
  async function isFirstOld(nowMs: number): Promise<boolean> {
    for await (const { line } of readLines(path)) return !isKept(parse(line), nowMs)
    return false
  }

  async function dropOld(nowMs: number): Promise<void> {
    if (!(await isFirstOld(nowMs))) return
    await copyEntries(path, (line) => isKept(parse(line), nowMs), files)
    await index()
  }

  await index().catch(async (error) => {
    const setAside = nameAside(path)
    await copyFile(path, setAside)
    log.error(
      { err: error, file: path, setAside },
      'some ended operations cannot be read: their file is set aside, the others go on',
    )
    await copyEntries(path, (line) => tryRead(line) !== undefined, files)
    await index()
  })

  return {
    /** Returns the last report of an attempt; undefined when it has not ended here. */
    async find(attempt: Attempt): Promise<OperationReport | undefined> {
      const place = places.get(keyOf(attempt))
      return place === undefined ? undefined : readEnded(await lineAt(path, place)).report
    },
    /** The last reports of the latest `count` operations, oldest first, one at a time. */
    async *latest(count: number): AsyncGenerator<OperationReport> {
      const first = [...places.values()].at(-count) ?? 0
      for await (const { line } of readLines(path, first)) {
        const ended = tryRead(line)
        if (ended) yield ended.report
      }
    },
    async *allWithJobs(): AsyncGenerator<Ended> {
      for await (const { line } of readLines(path)) {
        const ended = tryRead(line)
        if (ended) yield ended
      }
    },
    /** The highest epoch of an ended operation on a jail of this name; 0 when there is none. */
    epochOf: (jail: string) => epochs.get(jail) ?? 0,
    /** The highest epoch of all; 0 when none has ended here. */
    highestEpoch: () => highest,
    /** Whether nothing is left of the jail of this provision since the last operation that has ended on a jail of its name. */
    isGone: (jail: string, provision: string) => gone.has(jail) && (gone.get(jail) ?? provision) === provision,
    isEmpty: () => places.size === 0,
    /** Drops those that ended more than 30 days before a time of the fleet. To be called before any job is taken. */
    dropOld: (nowMs: number): Promise<void> => appends(() => dropOld(nowMs)),
    add(report: OperationReport, job?: JournaledJob): Promise<void> {
      const entry = { ...report, ...(job ? { job } : {}) }
      return appends(async () => remember(entry, await appendEntries(path, [entry], files)))
    },
  }
}

function keyOf({ operation, epoch, attempt }: Attempt): string {
  return `${operation}/${epoch}/${attempt}`
}
