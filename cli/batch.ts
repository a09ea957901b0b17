import { Command } from 'commander'
import { cancelBatchCommand } from './batch/cancel.ts'
import { createBatchCommand } from './batch/create.ts'
import { listBatchesCommand } from './batch/list.ts'
import { pauseBatchCommand } from './batch/pause.ts'
import { reportBatchCommand } from './batch/report.ts'
import { resumeBatchCommand } from './batch/resume.ts'
import { retryBatchCommand } from './batch/retry.ts'
import { showBatchCommand } from './batch/show.ts'
import type { CommandContext } from './command-context.ts'

const verbs = [
  createBatchCommand,
  listBatchesCommand,
  showBatchCommand,
  pauseBatchCommand,
  resumeBatchCommand,
  cancelBatchCommand,
  retryBatchCommand,
  reportBatchCommand,
]

export function batchCommand(context: CommandContext): Command {
  const command = new Command('batch').description('many jails at once, from a file')
  for (const verb of verbs) command.addCommand(verb(context))
  return command
}
