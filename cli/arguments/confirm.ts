import { createInterface } from 'node:readline/promises'
import { type Command, Option } from 'commander'
import { Unsuccessful } from './command-context.ts'

export type ConfirmOptions = { yes?: true; dryRun?: true }

/** What is about to go: a line for each thing, and the question about all of them. */
export type Question = { lines: string[]; question: string }

const namedAtMost = 20

/** Adds `--yes` and `--dry-run` to a command that takes away what cannot be brought back. `what`: what a dry run leaves alone. */
export function withConfirmation(command: Command, what: string): Command {
  return command
    .addOption(new Option('--dry-run', what).conflicts(['yes', 'wait', 'watch']))
    .option('--yes', 'do it without asking; needed where nobody can be asked, as in a script')
}

/** Ends with wrong use where the answer is neither given (`--yes`) nor can be asked for: before anything is requested. */
export function assertAskable(command: Command, { yes, dryRun }: ConfirmOptions): void {
  if (yes || dryRun || isAskable()) return
  command.error('error: this asks before it goes on, and here is no terminal: say --yes, or --dry-run to see what would go')
}

/**
 * Asks a person whether to go on, on standard error, so that standard output stays the command's own.
 * @throws Unsuccessful for every answer but yes
 */
export async function confirm({ lines, question }: Question): Promise<void> {
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  // The end of the input, and Ctrl-C, are a no.
  const ended = new Promise<string>((resolve) => asking.once('close', () => resolve('')))
  try {
    process.stderr.write(`${shortened(lines).join('\n')}\n`)
    const answer = await Promise.race([asking.question(`${question} [y/N] `), ended])
    if (!/^y(es)?$/i.test(answer.trim())) throw new Unsuccessful(['Nothing was done.'])
  } finally {
    asking.close()
  }
}

const isAskable = () => process.stdin.isTTY === true && process.stderr.isTTY === true

function shortened(lines: string[]): string[] {
  if (lines.length <= namedAtMost + 1) return lines
  return [...lines.slice(0, namedAtMost), `and ${lines.length - namedAtMost} more; --dry-run names them all`]
}
