import type { Batch } from '#shared/batch.ts'
import { describeStatus } from '#shared/operation.ts'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'
import { followBatch } from '../http/follow-batch.ts'
import { batchChanges, countsText, detailLines, liveBatchLines } from '../print/batch-lines.ts'
import { printOnInterrupt } from '../print/live/print-on-interrupt.ts'
import { showStates } from '../print/live/show-states.ts'

/**
 * Shows a batch until it has ended, then its details; with `asJson`, prints only its result, as JSON.
 * @throws Refusal, Unreachable, Unsuccessful unless it succeeded
 */
export async function watchBatch(
  { client, print }: CommandContext,
  id: string,
  asJson?: (ended: Batch) => unknown,
): Promise<void> {
  const states = followBatch(client(), id)
  const ended = await printOnInterrupt(`The batch goes on. To see it again: provost batch show ${id} --watch`, () =>
    asJson ? lastOf(states) : showStates(states, { lines: liveBatchLines, changes: batchChanges }),
  )
  print(...(asJson ? [JSON.stringify(asJson(ended))] : ['', ...detailLines(ended)]))
  if (ended.status !== 'succeeded') throw new Unsuccessful([`The batch ${describeStatus(ended.status)}: ${countsText(ended)}.`])
}

async function lastOf(states: AsyncIterable<Batch>): Promise<Batch> {
  let last: Batch | undefined
  for await (const state of states) last = state
  if (!last) throw new Error('There is nothing to show.')
  return last
}
