import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { batchVerb, changeBatch } from './change-batch.ts'

export function resumeBatchCommand(context: CommandContext): Command {
  return batchVerb('resume', 'go on with a paused batch, also past a canary or a failure rate').action(
    async (id: string, { json }: { json?: true }) => await changeBatch(context, id, 'resume', { json }),
  )
}
