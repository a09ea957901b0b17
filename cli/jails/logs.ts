import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { parseNumber } from '../arguments/parse-number.ts'
import { printable } from '../print/printable.ts'

type LogsOptions = { follow?: true; bytes?: number }

export function logsCommand({ client }: CommandContext): Command {
  return new Command('logs')
    .description('what the processes of a jail printed last')
    .argument('<name>', 'the jail')
    .option('-f, --follow', 'go on with what it prints, until the jail is gone')
    .option('--bytes <count>', 'at most so much of its end (default: 65536)', parseNumber)
    .option('--json', 'print a refusal as JSON; what was printed is text')
    .action(async (name: string, { follow, bytes }: LogsOptions) => {
      const query = new URLSearchParams({ ...(follow ? { follow: 'true' } : {}), ...(bytes ? { bytes: String(bytes) } : {}) })
      const show = process.stdout.isTTY ? printable : (text: string) => text
      const decoder = new TextDecoder()
      let isEmpty = true
      for await (const piece of client().download(`/v1/jails/${encodeURIComponent(name)}/log?${query}`)) {
        isEmpty &&= piece.length === 0
        process.stdout.write(show(decoder.decode(piece, { stream: true })))
      }
      if (isEmpty) process.stderr.write(`${name} has printed nothing.\n`)
    })
}
