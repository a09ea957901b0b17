import pLimit from 'p-limit'
import { z } from 'zod'
import type { JailJob } from '#shared/job.ts'
import { OperationReport } from '#shared/report.ts'
import { JournaledJob } from './entries.ts'
import { appendEntries, copyEntries, journalFiles, lineAt, readLines } from './file.ts'

export type Attempt = Pick<JailJob, 'operation' | 'epoch' | 'attempt'>

/** What is read of each report at a start. */
const Ended = z.object({ operation: z.string(), epoch: z.int(), attempt: z.int(), jail: z.string(), at: z.string() })

const EndedOperation = OperationReport.extend({ job: JournaledJob.optional() })

/** The report of an operation that has ended, and what its job said, as far as it was journalled with it. */
function readEnded(line: string): { report: OperationReport; job: JournaledJob | undefined } {
  const { job, ...report } = EndedOperation.parse(JSON.parse(line))
  const kind = report.kind ?? job?.kind
  return { report: { ...report, ...(kind ? { kind } : {}) }, job }
}

const keptMs = 30 * 24 * 3_600_000

/**
 * The last reports of what has ended on this host: a file with one in each line, for 30 days. Memory has only where each
 * one stands in it, since they are asked for seldom and there may be very many.
 */
export async function openEndedOperations(path: string, files = journalFiles) {
  /** By attempt, where its line begins. */
  const places = new Map<string, number>()
  const epochs = new Map<string, number>()
  const appends = pLimit(1)

  function remember(ended: z.infer<typeof Ended>, place: number): void {
    places.set(keyOf(ended), place)
    epochs.set(ended.jail, Math.max(ended.epoch, epochs.get(ended.jail) ?? 0))
  }

  const parse = (line: string) => Ended.parse(JSON.parse(line))
  const isKept = ({ at }: { at: string }) => Date.now() - Date.parse(at) < keptMs
  if (await isFirstOld()) await copyEntries(path, (line) => isKept(parse(line)), files)
  for await (const { line, place } of readLines(path)) remember(parse(line), place)

  /** They stand in the order of their ends, so that no other is older. */
  async function isFirstOld(): Promise<boolean> {
    for await (const { line } of readLines(path)) return !isKept(parse(line))
    return false
  }

  return {
    /** The last report of an attempt that has ended here. */
    async find(attempt: Attempt): Promise<OperationReport | undefined> {
      const place = places.get(keyOf(attempt))
      return place === undefined ? undefined : readEnded(await lineAt(path, place)).report
    },
    /** Of the last `count` that have ended here, oldest first, one at a time. */
    async *latest(count: number): AsyncGenerator<OperationReport> {
      const first = [...places.values()].at(-count) ?? 0
      for await (const { line } of readLines(path, first)) yield readEnded(line).report
    },
    /** Of all that has ended here, with what their jobs said, as far as they were journalled with it. */
    async *allWithJobs(): AsyncGenerator<{ report: OperationReport; job: JournaledJob | undefined }> {
      for await (const { line } of readLines(path)) yield readEnded(line)
    },
    /** The highest epoch of what has ended of a jail's name. */
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
