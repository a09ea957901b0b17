import pLimit from 'p-limit'
import { z } from 'zod'
import type { JailJob } from '#shared/job.ts'
import { OperationReport } from '#shared/report.ts'
import { JournaledJob } from './entries.ts'
import { appendEntries, copyEntries, journalFiles, lineAt, readLines } from './file.ts'

export type Attempt = Pick<JailJob, 'operation' | 'epoch' | 'attempt'>

/** What a start reads of each report. */
const EndedIndex = z.object({ operation: z.string(), epoch: z.int(), attempt: z.int(), jail: z.string(), at: z.string() })

const EndedOperation = OperationReport.extend({ job: JournaledJob.optional() })

/** The last report of an operation, and its job where that was noted with it. */
type Ended = { report: OperationReport; job: JournaledJob | undefined }

function readEnded(line: string): Ended {
  const { job, ...report } = EndedOperation.parse(JSON.parse(line))
  const kind = report.kind ?? job?.kind
  return { report: { ...report, ...(kind ? { kind } : {}) }, job }
}

const keptMs = 30 * 24 * 3_600_000

/**
 * Opens the last reports of all operations that have ended on this host: a file with one in each line, for at least 30 days. Memory
 * has only the place of each in the file, since they are seldom asked for and may be very many.
 */
export async function openEndedOperations(path: string, files = journalFiles) {
  /** By attempt, where its line begins. */
  let places = new Map<string, number>()
  let epochs = new Map<string, number>()
  let highest = 0
  const appends = pLimit(1)

  function remember(ended: z.infer<typeof EndedIndex>, place: number): void {
    places.set(keyOf(ended), place)
    epochs.set(ended.jail, Math.max(ended.epoch, epochs.get(ended.jail) ?? 0))
    highest = Math.max(highest, ended.epoch)
  }

  const parse = (line: string) => EndedIndex.parse(JSON.parse(line))
  const isKept = ({ at }: { at: string }, nowMs: number) => nowMs - Date.parse(at) < keptMs
  for await (const { line, place } of readLines(path)) remember(parse(line), place)

  /** The lines are in the order of their ends, so no other is older. */
  async function isFirstOld(nowMs: number): Promise<boolean> {
    for await (const { line } of readLines(path)) return !isKept(parse(line), nowMs)
    return false
  }

  async function dropOld(nowMs: number): Promise<void> {
    if (!(await isFirstOld(nowMs))) return
    await copyEntries(path, (line) => isKept(parse(line), nowMs), files)
    places = new Map()
    epochs = new Map()
    for await (const { line, place } of readLines(path)) remember(parse(line), place)
  }

  return {
    /** Returns the last report of an attempt; undefined when it has not ended here. */
    async find(attempt: Attempt): Promise<OperationReport | undefined> {
      const place = places.get(keyOf(attempt))
      return place === undefined ? undefined : readEnded(await lineAt(path, place)).report
    },
    /** The last reports of the latest `count` operations, oldest first, one at a time. */
    async *latest(count: number): AsyncGenerator<OperationReport> {
      const first = [...places.values()].at(-count) ?? 0
      for await (const { line } of readLines(path, first)) yield readEnded(line).report
    },
    async *allWithJobs(): AsyncGenerator<Ended> {
      for await (const { line } of readLines(path)) yield readEnded(line)
    },
    /** The highest epoch of an ended operation on a jail of this name; 0 when there is none. */
    epochOf: (jail: string) => epochs.get(jail) ?? 0,
    /** The highest epoch of all; 0 when none has ended here. */
    highestEpoch: () => highest,
    isEmpty: () => places.size === 0,
    /** Drops those that ended more than 30 days before a time of the fleet. To be called before any job is taken. */
    dropOld: (nowMs: number): Promise<void> => appends(() => dropOld(nowMs)),
    add(report: OperationReport, job?: JournaledJob): Promise<void> {
      const entry = { ...report, ...(job ? { job } : {}) }
      return appends(async () => remember(report, await appendEntries(path, [entry], files)))
    },
  }
}

function keyOf({ operation, epoch, attempt }: Attempt): string {
  return `${operation}/${epoch}/${attempt}`
}
