import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { Command, Option } from 'commander'
import { errnoOf } from '#shared/errors.ts'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'

type ReportOptions = { format?: 'csv' | 'json'; output?: string }

export function reportBatchCommand({ client }: CommandContext): Command {
  return new Command('report')
    .description('what became of each jail of a batch, also while it runs: host, addresses, state, attempts, error')
    .argument('<batch>', 'its whole id')
    .addOption(
      new Option('--format <format>', 'what it is written as (default: json for an output that ends so, else csv)').choices([
        'csv',
        'json',
      ]),
    )
    .option('--output <file>', 'where to write it, which is there only once it is whole (default: standard output)')
    .action(async (id: string, { output, format = output?.endsWith('.json') ? 'json' : 'csv' }: ReportOptions) => {
      const report = client().download(`/v1/batches/${encodeURIComponent(id)}/report.${format}`)
      if (output === undefined) await pipeline(report, process.stdout, { end: false })
      else await writeWhole(output, report)
    })
}

/** Writes a file; after any error it is as it was before. @throws Unsuccessful when it cannot be written */
async function writeWhole(file: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const part = `${file}.part`
  try {
    await pipeline(content, createWriteStream(part))
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true }).catch(() => {})
    if (errnoOf(error) === undefined) throw error
    throw new Unsuccessful([`${file} cannot be written: ${error instanceof Error ? error.message : error}`])
  }
}
