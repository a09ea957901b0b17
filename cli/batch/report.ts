import { pipeline } from 'node:stream/promises'
import { Command, Option } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { writeWhole } from '../print/write-whole.ts'

type ReportOptions = { format?: 'csv' | 'json'; output?: string }

export function reportBatchCommand({ client }: CommandContext): Command {
  return new Command('report')
    .description('what became of each jail of a batch, also while it runs: host, addresses, state, attempts, error')
    .argument('<batch>', 'its id, or its name')
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
