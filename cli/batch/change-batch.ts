import { Command } from 'commander'
import { z } from 'zod'
import { Batch } from '#shared/batch.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { batchStatusLine, nextLines } from '../print/batch-lines.ts'

export const WithBatch = z.object({ batch: Batch })

/** Returns a command on one batch. */
export function batchVerb(verb: string, description: string): Command {
  return new Command(verb)
    .description(description)
    .argument('<batch>', 'its id, or its name')
    .option('--json', 'print the body of the HTTP answer')
}

/** Asks for a change of a batch, and prints its new status or, with `json`, the answer. */
export async function changeBatch(
  { client, print }: CommandContext,
  id: string,
  verb: string,
  { body, json }: { body?: object; json?: true | undefined },
): Promise<void> {
  const path = `/v1/batches/${encodeURIComponent(id)}/${verb}`
  const answer = await client().send({ method: 'POST', path, ...(body ? { body } : {}) })
  if (json) return print(answer.text)
  const { batch } = WithBatch.parse(answer.body)
  print(batchStatusLine(batch), ...nextLines(batch).map((line) => `  ${line}`))
}
