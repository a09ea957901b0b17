import { Command, CommanderError } from 'commander'
import { ConfigError } from '#shared/process/read-config.ts'
import { version } from '#shared/process/version.ts'
import { type CommandContext, Unsuccessful } from './arguments/command-context.ts'
import { batchCommand } from './batch/batch.ts'
import { drainCommand } from './hosts/drain.ts'
import { fillCommand } from './hosts/fill.ts'
import { hostsCommand } from './hosts/list.ts'
import { recoverCommand } from './hosts/recover.ts'
import { undrainCommand } from './hosts/undrain.ts'
import { worldsCommand } from './hosts/worlds.ts'
import { httpClient } from './http/client.ts'
import { readClientConfig } from './http/config.ts'
import { Refusal, Unreachable } from './http/refusal.ts'
import { createCommand } from './jails/create.ts'
import { destroyCommand } from './jails/destroy.ts'
import { listCommand } from './jails/list.ts'
import { logsCommand } from './jails/logs.ts'
import { restartCommand } from './jails/restart.ts'
import { showCommand } from './jails/show.ts'
import { startCommand } from './jails/start.ts'
import { stopCommand } from './jails/stop.ts'
import { cancelCommand } from './operations/cancel.ts'
import { logCommand } from './operations/log.ts'
import { retryCommand } from './operations/retry.ts'
import { watchCommand } from './operations/watch.ts'
import { refusalLines } from './print/refusal-lines.ts'
import { writeLines } from './print/write-lines.ts'

const commands = [
  createCommand,
  listCommand,
  showCommand,
  logsCommand,
  startCommand,
  stopCommand,
  restartCommand,
  destroyCommand,
  watchCommand,
  retryCommand,
  cancelCommand,
  logCommand,
  batchCommand,
  hostsCommand,
  worldsCommand,
  fillCommand,
  drainCommand,
  undrainCommand,
  recoverCommand,
]

const services = `
Services:
  dev                         Redis, a producer and workers on this machine, for trials and tests
  producer                    the service that accepts, places and records
  worker                      the service that makes jails on one host, as root
  join                        lets this host join a fleet, with a token of provost hosts invite
  doctor                      whether this host is fit for a worker

Environment:
  PROVOST_URL                 where the producer is (default: http://127.0.0.1:7070)
  PROVOST_API_KEY             a key of the fleet

Exit status: 0 done, 1 failed or refused, 2 wrong use.`

const context: CommandContext = {
  client: () => httpClient(readClientConfig(process.env), (line) => writeLines(process.stderr, [line])),
  print: (...lines) => writeLines(process.stdout, lines),
}

let json = false
const program = new Command('provost')
  .version(version, '--version', 'the version of this Provost')
  .description('Provisions jails across a fleet of hosts, from a queue.')
  .addHelpText('after', services)
  .exitOverride()
  // Otherwise `hosts` would take the --json of `hosts show` as its own.
  .enablePositionalOptions()
  .hook('preAction', (_, action) => {
    json = action.opts()['json'] === true
  })
for (const command of commands) {
  const verb = command(context).copyInheritedSettings(program)
  for (const subcommand of verb.commands) subcommand.copyInheritedSettings(verb)
  program.addCommand(verb)
}

// A reader that closes the pipe early, like head(1), is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = printError(error)
}

/** Prints what went wrong and returns the exit status for it. */
function printError(error: unknown): number {
  const printErrors = (lines: string[]) => writeLines(process.stderr, lines)
  // commander has printed it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof ConfigError) {
    printErrors([error.message])
    return 2
  }
  if (error instanceof Refusal) {
    if (json) context.print(error.text)
    else printErrors(refusalLines(error.problem))
    return 1
  }
  if (error instanceof Unsuccessful) {
    if (!json) printErrors(error.lines)
    return 1
  }
  if (error instanceof Unreachable) {
    printErrors([error.message, '  what to do: check PROVOST_URL and that the producer runs.'])
    return 1
  }
  printErrors([`This is a fault of Provost: ${error instanceof Error ? error.stack : error}`])
  return 1
}
