import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { cancelBatchCommand } from './cancel.ts'
import { createBatchCommand } from './create/create.ts'
import { destroyBatchCommand } from './destroy.ts'
import { listBatchesCommand } from './list.ts'
import { pauseBatchCommand } from './pause.ts'
import { reportBatchCommand } from './report.ts'
import { resumeBatchCommand } from './resume.ts'
import { retryBatchCommand } from './retry.ts'
import { showBatchCommand } from './show.ts'

const verbs = [
  createBatchCommand,
  listBatchesCommand,
  showBatchCommand,
  pauseBatchCommand,
  resumeBatchCommand,
  cancelBatchCommand,
  retryBatchCommand,
  destroyBatchCommand,
  reportBatchCommand,
]

export function batchCommand(context: CommandContext): Command {
  const command = new Command('batch').description('many jails at once, from a file')
  for (const verb of verbs) command.addCommand(verb(context))
  return command
}
