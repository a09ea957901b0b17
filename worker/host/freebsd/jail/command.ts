import { lstatSync, readlinkSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { undefinedIfAbsent } from '../../files/paths.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { processesOf } from '../processes/processes.ts'
import { findJail } from './jail.ts'

const maxLinks = 32
/** What `jexec -l` sets. */
const searched = ['/bin', '/usr/bin']
const script = join(import.meta.dirname, 'run-command.sh')

/**
 * Starts the jail's own command, once in a boot of the jail. `/bin/sh /etc/rc` is not started here: it is the jail's exec.start,
 * so that it also runs at boot, and jail(8) has waited for it.
 */
export async function startCommand(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const running = await findJail(host, jail)
  if (!running) throw new ProvostError('unexpected', `Jail ${jail.name} is not running.`)
  const { command } = jail
  if (!command) return
  const { console, commandStarted, commandEnd, root } = host.layout.jail(jail.name)
  // The jid alone is not enough: jids begin again with every boot of the host.
  const mark = `${await host.bootId()} ${running.jid}`
  if ((await readFile(commandStarted, 'utf8').catch(undefinedIfAbsent)) === mark) return
  // Only its own command can run in the jail: with any process there, a worker has started it and was killed before the note.
  if ((await processesOf(host.run, running.jid, signal)).length === 0) {
    requireProgram(root, command[0] ?? '')
    await rm(commandEnd, { force: true })
    // daemon(8) detaches from the worker. What it becomes stays on the host beside the jail, so it must not have the worker's
    // marks in its environment: the next worker ends what has them.
    const args = ['/usr/bin/env', '-i', '/bin/sh', script, console, commandEnd, `${running.jid}`, ...command]
    await host.run('daemon', args, { signal })
  }
  await writeFile(`${commandStarted}.new`, mark)
  await rename(`${commandStarted}.new`, commandStarted)
}

/** daemon(8) does not report that the command could not be started. @throws ProvostError `command_failed` */
function requireProgram(root: string, program: string): void {
  const candidates = program.includes('/') ? [program] : searched.map((directory) => `${directory}/${program}`)
  if (candidates.some((path) => isProgram(root, path))) return
  throw new ProvostError('command_failed', `${program} is no program in the jail's world.`, { command: program })
}

/** Follows links as they lead in the jail, never out of its root. */
function isProgram(root: string, path: string): boolean {
  let rest = path.split('/')
  let at: string[] = []
  for (let links = 0; rest.length > 0; ) {
    const name = rest.shift() ?? ''
    if (name === '' || name === '.') continue
    if (name === '..') {
      at = at.slice(0, -1)
      continue
    }
    const here = `${root}/${[...at, name].join('/')}`
    const entry = lstatSync(here, { throwIfNoEntry: false })
    if (!entry || links > maxLinks) return false
    if (entry.isSymbolicLink()) {
      links += 1
      const target = readlinkSync(here)
      if (target.startsWith('/')) at = []
      rest = [...target.split('/'), ...rest]
    } else if (rest.length === 0) {
      return entry.isFile() && (entry.mode & 0o111) !== 0
    } else {
      if (!entry.isDirectory()) return false
      at.push(name)
    }
  }
  return false
}
