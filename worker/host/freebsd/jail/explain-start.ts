import { readFile } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { undefinedIfAbsent } from '../../files/paths.ts'
import { rcCommand } from './jail-parameters.ts'

const tailBytes = 4_096

/**
 * Returns what a failed start was about. jail(8) prints that a command failed, but neither why nor its exit code; what that printed is on
 * the jail's console, from `before` on.
 */
export async function explainStart(error: ProvostError, jail: JailSpec, log: string, before: number): Promise<ProvostError> {
  const printed = error.facts.logTail ?? ''
  const taken = /^Another host on the network of .*$/m.exec(printed)?.[0]
  if (taken)
    return new ProvostError('address_in_use', taken, {
      ...error.facts,
      hint: 'Take it off there, or put it into exclude of the pool and ask for another, then retry.',
    })
  // With exec.clean jail(8) looks up root in the jail's own database, before it runs anything there.
  if (printed.includes(`jail: ${jail.name}: getpwnam: No such file or directory`))
    return new ProvostError('world_invalid', `The root of ${jail.name} has no password database.`, {
      ...error.facts,
      hint: 'Make etc/pwd.db in its root, from outside: pwd_mkdb -p -d ETC ETC/master.passwd; then retry.',
    })
  if (!printed.includes(`jail: ${jail.name}: ${rcCommand}: `)) return error
  const how = printed.slice(printed.indexOf(`${rcCommand}: `) + rcCommand.length + 2).split('\n')[0]
  const logTail = await readFrom(log, before)
  const lastLine = logTail.trim().split('\n').at(-1)
  return new ProvostError('command_failed', `${rcCommand} ${how}${lastLine ? `: ${lastLine}` : '.'}`, {
    ...error.facts,
    command: rcCommand,
    logTail: logTail || printed,
  })
}

async function readFrom(path: string, start: number): Promise<string> {
  const text = (await readFile(path).catch(undefinedIfAbsent)) ?? Buffer.alloc(0)
  return text.subarray(Math.max(start, text.length - tailBytes)).toString('utf8')
}
