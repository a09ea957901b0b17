import { Command } from 'commander'
import { z } from 'zod'
import { Batch } from '#shared/batch.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { batchStatusLine, nextLines } from '../print/batch-lines.ts'

/** An older producer does not say whether anything was changed. */
export const WithBatch = z.object({ batch: Batch, changed: z.boolean().default(true) })

/** Returns a command on one batch. */
export function batchVerb(verb: string, description: string): Command {
  return new Command(verb)
    .description(description)
    .argument('<batch>', 'its id, or its name')
    .option('--json', 'print the body of the HTTP answer')
}

/** By verb, what is said when there was nothing to do. */
export const nothingDone = {
  pause: 'Nothing was done: only a batch that is running can be held.',
  resume: 'Nothing was done: only a batch that is paused can go on.',
  cancel: 'Nothing was done: it has ended already.',
  retry: 'Nothing was done: nothing of it has failed.',
}

/** Asks for a change of a batch, and prints its new status or, with `json`, the answer. */
export async function changeBatch(
  { client, print }: CommandContext,
  id: string,
  verb: keyof typeof nothingDone,
  { body, json }: { body?: object; json?: true | undefined },
): Promise<void> {
  const path = `/v1/batches/${encodeURIComponent(id)}/${verb}`
  const answer = await client().send({ method: 'POST', path, ...(body ? { body } : {}) })
  if (json) return print(answer.text)
  const { batch, changed } = WithBatch.parse(answer.body)
  print(...(changed ? [] : [nothingDone[verb]]), batchStatusLine(batch), ...nextLines(batch).map((line) => `  ${line}`))
}
