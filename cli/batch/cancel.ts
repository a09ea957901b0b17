import { type Command, Option } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { batchVerb, changeBatch } from './change-batch.ts'

type CancelOptions = { running?: 'finish' | 'cancel'; json?: true }

export function cancelBatchCommand(context: CommandContext): Command {
  return batchVerb('cancel', 'begin no more of its jails, for good; those that it has made stay, see `provost batch destroy`')
    .addOption(
      new Option('--running <how>', 'what becomes of jails under way (default: they finish)').choices(['finish', 'cancel']),
    )
    .action(async (id: string, { running, json }: CancelOptions) => {
      await changeBatch(context, id, 'cancel', { body: running ? { running } : {}, json })
    })
}
