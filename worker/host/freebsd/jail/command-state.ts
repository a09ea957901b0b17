import { readFile } from 'node:fs/promises'
import type { CommandState } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { undefinedIfAbsent } from '../../files/paths.ts'
import { ended, running, writtenAt } from '../../jails/command-note.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { findJail } from './jail.ts'

/** Returns how the jail's own command fares, by what the script that started it has noted. */
export async function commandState(host: FreebsdHost, jail: JailSpec, jid?: number): Promise<CommandState | undefined> {
  const { commandStarted, commandEnd } = host.layout.jail(jail.name)
  if (!jail.command) return undefined
  const now = jid ?? (await findJail(host, jail))?.jid
  const [mark, startedAt] = await Promise.all([textOf(commandStarted), writtenAt(commandStarted)])
  // A note of an earlier boot says nothing of this one.
  if (startedAt === undefined || mark !== `${await host.bootId()} ${now}`) return undefined
  const code = (await textOf(commandEnd))?.trim()
  return code === undefined ? running(startedAt) : ended(startedAt, code, await writtenAt(commandEnd))
}

function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(undefinedIfAbsent)
}
