import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { batchVerb, changeBatch, WithBatch } from './change-batch.ts'
import { watchBatch } from './watch-batch.ts'

type RetryOptions = { cause?: string; watch?: true; json?: true }

export function retryBatchCommand(context: CommandContext): Command {
  return batchVerb('retry', 'try again all of its jails that failed, or those of one cause')
    .option('--cause <cause>', 'the id of a cause; `provost batch show` has them')
    .option('--watch', 'show the progress and end when the batch has ended')
    .action(async (id: string, { cause, watch, json }: RetryOptions) => {
      const body = cause === undefined ? {} : { cause }
      if (!watch) return await changeBatch(context, id, 'retry', { body, json })
      const path = `/v1/batches/${encodeURIComponent(id)}/retry`
      const { batch } = WithBatch.parse((await context.client().send({ method: 'POST', path, body })).body)
      await watchBatch(context, batch.id, json ? (ended) => ({ batch: ended }) : undefined)
    })
}
