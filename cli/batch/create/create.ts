import { randomUUID } from 'node:crypto'
import { Command, Option } from 'commander'
import { z } from 'zod'
import { Batch, csvColumns, FaultCauses, SkippedRows } from '#shared/batch.ts'
import type { CommandContext } from '../../arguments/command-context.ts'
import { parseNumber } from '../../arguments/parse-number.ts'
import type { Answer, Upload } from '../../http/client.ts'
import { type Format, formatOf, formats, openRows, parseFile } from '../../http/open-rows.ts'
import { batchStatusLine, nextLines } from '../../print/batch-lines.ts'
import { leftOutLines } from '../../print/row-error-lines.ts'
import { watchBatch } from '../watch-batch.ts'
import { dryRunBatch } from './dry-run.ts'
import { sendFile } from './send-file.ts'

type CreateOptions = {
  format?: Format
  dryRun?: true
  skipInvalid?: true
  rejects?: string
  encoding?: string
  name?: string
  maxInFlight?: number
  canary?: number
  maxFailures?: number
  maxFailureRate?: number
  idempotencyKey?: string
  watch?: true
  json?: true
}

const Accepted = z.object({ batch: Batch, skipped: SkippedRows, causes: FaultCauses.optional() })

const columns = `CSV with the columns ${csvColumns.required} and, if you like, ${csvColumns.optional}`

export function createBatchCommand(context: CommandContext): Command {
  return new Command('create')
    .description('make many jails from a file, all of which is checked before the first is begun')
    .argument('<file>', `${columns}; or NDJSON or JSON; - reads standard input`, parseFile)
    .addOption(new Option('--format <format>', 'what the file is (default: by its ending)').choices(Object.keys(formats)))
    .addOption(new Option('--dry-run', 'make nothing; say how many go to each host, and which fit on none').conflicts('watch'))
    .option('--encoding <encoding>', 'what the file is written in, like windows-1252 (default: UTF-8, or UTF-16 if it looks so)')
    .option('--skip-invalid', 'leave rows out that are wrong, instead of refusing all')
    .option('--rejects <file>', 'the same, and write those rows into a file, to correct and send')
    .option('--name <name>', 'what to call it: a-z, 0-9 and ._-')
    .option('--max-in-flight <count>', 'at most so many jails at once (default: 50)', parseNumber)
    .option('--canary <count>', 'make so many first; pause if more than --max-failures of them fail', parseNumber)
    .option('--max-failures <count>', 'so many of the canary may fail (default: 0)', parseNumber)
    .option('--max-failure-rate <rate>', 'pause when a greater part than this has failed, 0 to 1', parseNumber)
    .option('--idempotency-key <key>', 'sent twice with one key, the file is one batch (default: a new key)')
    .option('--watch', 'show the progress and end when the batch has ended')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (file: string, options: CreateOptions, command: Command) => {
      const format = options.format ?? formatOf(file)
      if (!format) {
        const what = file === '-' ? 'Standard input' : `${file} ends neither with .csv, .ndjson, .jsonl nor .json and`
        command.error(`error: ${what} needs --format csv, ndjson or json`)
      }
      const rows = openRows(file)
      if (options.rejects !== undefined && !rows.isRepeatable)
        command.error('error: --rejects needs a file that can be read twice, not a pipe')
      const type = options.encoding === undefined ? formats[format] : `${formats[format]}; charset=${options.encoding}`
      const upload = { path: pathOf(options), type, ...rows, idempotencyKey: options.idempotencyKey ?? randomUUID() }
      if (options.dryRun) return await dryRunBatch(context, upload, options)
      await createBatch(context, upload, options)
    })
}

async function createBatch(context: CommandContext, upload: Upload, { rejects, watch, json }: CreateOptions): Promise<void> {
  const answer = await sendFile(context, upload, rejects)
  const accepted = Accepted.parse(answer.body)
  if (json && !watch) return context.print(answer.text)
  if (!json) context.print(...acceptedLines(accepted, answer))
  if (watch) return await watchBatch(context, accepted.batch.id, json ? (batch) => ({ ...accepted, batch }) : undefined)
  context.print(...nextLines(accepted.batch).map((line) => `  ${line}`))
}

/** What was accepted, and which rows were not. */
function acceptedLines({ batch, skipped, causes }: z.infer<typeof Accepted>, { replayed }: Pick<Answer, 'replayed'>): string[] {
  return [
    ...(replayed ? ['This was sent before with the same key, and nothing is made twice.'] : []),
    batchStatusLine(batch),
    // A replayed answer does not name them again.
    ...(replayed ? [] : leftOutLines(skipped ?? [], causes, batch.skipped)),
  ]
}

function pathOf({ dryRun, rejects, skipInvalid = rejects === undefined ? undefined : true, ...options }: CreateOptions): string {
  const { name, maxInFlight, canary, maxFailures, maxFailureRate } = options
  const asked = { dryRun, skipInvalid, name, maxInFlight, canary, maxFailures, maxFailureRate }
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(asked)) if (value !== undefined) query.set(key, String(value))
  return query.size > 0 ? `/v1/batches?${query}` : '/v1/batches'
}
