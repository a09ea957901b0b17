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
 * Opens the last reports of all operations that have ended on this host: a file with one in each line, for 30 days. Memory
 * has only the place of each in the file, since they are seldom asked for and may be very many.
 */
export async function openEndedOperations(path: string, files = journalFiles) {
  /** By attempt, where its line begins. */
  const places = new Map<string, number>()
  const epochs = new Map<string, number>()
  const appends = pLimit(1)

  function remember(ended: z.infer<typeof EndedIndex>, place: number): void {
    places.set(keyOf(ended), place)
    epochs.set(ended.jail, Math.max(ended.epoch, epochs.get(ended.jail) ?? 0))
  }

  const parse = (line: string) => EndedIndex.parse(JSON.parse(line))
  const isKept = ({ at }: { at: string }) => Date.now() - Date.parse(at) < keptMs
  if (await isFirstOld()) await copyEntries(path, (line) => isKept(parse(line)), files)
  for await (const { line, place } of readLines(path)) remember(parse(line), place)

  /** The lines are in the order of their ends, so no other is older. */
  async function isFirstOld(): Promise<boolean> {
    for await (const { line } of readLines(path)) return !isKept(parse(line))
    return false
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
    isEmpty: () => places.size === 0,
    add(report: OperationReport, job?: JournaledJob): Promise<void> {
      const entry = { ...report, ...(job ? { job } : {}) }
      return appends(async () => remember(report, await appendEntries(path, [entry], files)))
    },
  }
}

function keyOf({ operation, epoch, attempt }: Attempt): string {
  return `${operation}/${epoch}/${attempt}`
}
