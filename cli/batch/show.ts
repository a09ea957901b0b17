import type { Command } from 'commander'
import { Batch } from '#shared/batch.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { batchLines } from '../print/batch-lines.ts'
import { batchVerb } from './change-batch.ts'
import { watchBatch } from './watch-batch.ts'

export function showBatchCommand(context: CommandContext): Command {
  return batchVerb('show', 'how far a batch is, how long it may take, and why jails of it failed')
    .option('--watch', 'show the progress and end when the batch has ended')
    .action(async (id: string, { watch, json }: { watch?: true; json?: true }) => {
      if (watch) return await watchBatch(context, id, json ? (ended) => ended : undefined)
      const answer = await context.client().get(`/v1/batches/${encodeURIComponent(id)}`)
      context.print(...(json ? [answer.text] : batchLines(Batch.parse(answer.body), Date.now())))
    })
}
