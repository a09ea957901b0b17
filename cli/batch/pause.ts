import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { batchVerb, changeBatch } from './change-batch.ts'

export function pauseBatchCommand(context: CommandContext): Command {
  return batchVerb('pause', 'begin no more of its jails; those under way go on to their end').action(
    async (id: string, { json }: { json?: true }) => await changeBatch(context, id, 'pause', { json }),
  )
}
