import { existsSync, lstatSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { markConsole, readConsole } from '../../jails/console.ts'
import { commandLine } from '../../programs/command-line.ts'
import { describeFault, faultNamedIn } from '../../programs/host-faults.ts'
import { ensureChildCgroup, readValue } from '../limits/cgroups.ts'
import { withTasksForRunc } from '../limits/limits.ts'
import type { LinuxHost } from '../linux-host.ts'
import { numbersOf } from '../processes/system-calls.ts'
import { rangeOf } from '../root/id-range.ts'
import { endAllBut, endConsole, killAllBut } from './end-jail.ts'
import { findInit } from './jail.ts'
import { removeRuncCopies } from './runc-copies.ts'
import { messageOfRunc } from './runc-message.ts'

const rc = ['/bin/sh', '/etc/rc']
const tailBytes = 4_096
const keeper = join(import.meta.dirname, 'run-command.pl')

/** Starts the jail's command, once in a boot of the jail, beside its first process. */
export async function startCommand(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const first = findInit(host, jail.name)
  if (first === undefined) throw new ProvostError('unexpected', `Jail ${jail.name} is not running.`)
  const { root } = host.layout.jail(jail.name)
  if (jail.command) {
    if (!wasStarted(host, jail)) await execute(host, jail, first, jail.command, 'start', signal)
    return
  }
  if (hasRc(root)) return runRc(host, jail, first, signal)
}

/** Ends all but the jail's first process: only the command can run yet, and runc may not have written its id. */
export async function endCommand(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { commandPid, commandDone, commandEnd } = host.layout.jail(jail.name)
  const first = findInit(host, jail.name)
  if (first !== undefined) await endAllBut(host, jail, first, signal)
  await endConsole(host, jail, signal)
  for (const path of [commandPid, commandDone, commandEnd]) await rm(path, { force: true })
}

async function runRc(host: LinuxHost, jail: JailSpec, first: number, signal: AbortSignal): Promise<void> {
  const { commandDone } = host.layout.jail(jail.name)
  if (existsSync(commandDone)) return
  await execute(host, jail, first, rc, 'wait', signal)
  await writeFile(commandDone, '')
}

/** The file that runc renames to the pid file; runc starts nothing where it is. */
const unfinished = (pidFile: string) => join(dirname(pidFile), `.${basename(pidFile)}`)

/** runc writes the file as soon as the command runs: without it nothing runs, or a command whose runc was killed. */
function wasStarted({ layout }: LinuxHost, jail: JailSpec): boolean {
  return /^\d+$/.test(readValue(layout.jail(jail.name).commandPid) ?? '')
}

/** Runs a command in the jail: until it has started, or until it has ended. */
async function execute(
  host: LinuxHost,
  jail: JailSpec,
  first: number,
  command: string[],
  until: 'start' | 'wait',
  signal: AbortSignal,
): Promise<void> {
  const { console, commandPid, commandEnd, consoleCgroup } = host.layout.jail(jail.name)
  const runc = ['runc', '--root', host.layout.runcRoot, 'exec', '--detach', '--pid-file', commandPid, jail.name, ...command]
  // A worker that was killed while it waited left a script half run, and a runc that was killed with it may not have written
  // what it had started. Nothing else runs in the jail yet.
  await killAllBut(host, jail, first, signal)
  await endConsole(host, jail, signal)
  await removeRuncCopies(host, jail, signal)
  for (const path of [commandPid, unfinished(commandPid), commandEnd]) await rm(path, { force: true })
  // Root in the jail owns the pipe that it prints into: else it could not open /dev/stdout.
  const owner = rangeOf(host.layout, host.layout.jail(jail.name)) ?? 0
  const cgroups = ensureChildCgroup(host.cgroups, consoleCgroup)
  const args = [keeper, until, numbersOf('prctl'), `${owner}`, console, commandPid, commandEnd, cgroups.join('\n'), ...runc]
  const mark = await markConsole(console)
  const enter = () => host.run('perl', args, { signal })
  await withTasksForRunc(host, jail, () => wasStarted(host, jail), enter).catch(async (error) => {
    if (!(error instanceof ProvostError) || error.facts.exitCode === undefined) throw error
    const printed = (await readConsole(console, { after: mark, mostBytes: tailBytes })).text
    throw wasStarted(host, jail) ? failureOfCommand(command, error, printed) : failureOfRunc(command, error, printed)
  })
}

/** What the jail printed is no fault of its host, whatever it reads as: in the jail it is a limit of the jail. */
function failureOfCommand(command: string[], { facts }: ProvostError, printed: string, why = printed): ProvostError {
  const [text, lastLine] = [commandLine(command), why.trim().split('\n').at(-1)]
  const message = `${text} ended with exit code ${facts.exitCode}${lastLine ? `: ${lastLine}` : '.'}`
  return new ProvostError('command_failed', message, { ...facts, command: text, logTail: printed })
}

/** Of a runc that started nothing, with its log as the output of what ran it. */
function failureOfRunc(command: string[], error: ProvostError, printed: string): ProvostError {
  const lines = (error.facts.logTail ?? '').trim().split('\n')
  const log = lines.map((line) => messageOfRunc(line) ?? line).join('\n')
  // It names the command, which a client chooses.
  const fault = command.some((word) => faultNamedIn(word)) ? undefined : faultNamedIn(log)
  if (!fault) return failureOfCommand(command, error, printed, log || printed)
  return new ProvostError(fault, describeFault(fault, 'runc', log.split('\n').at(-1)), {
    ...error.facts,
    logTail: printed || log,
  })
}

/** Looks from outside and follows no link of the jail: `etc` itself must be a directory. */
function hasRc(root: string): boolean {
  const etc = lstatSync(join(root, 'etc'), { throwIfNoEntry: false })
  return etc?.isDirectory() === true && lstatSync(join(root, 'etc/rc'), { throwIfNoEntry: false }) !== undefined
}
