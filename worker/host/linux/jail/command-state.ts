import type { CommandState } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { ended, running, writtenAt } from '../../jails/command-note.ts'
import { processesIn, readValue } from '../limits/cgroups.ts'
import type { LinuxHost } from '../linux-host.ts'
import { readOfProcess } from '../processes/processes.ts'

/** Returns how the jail's own command fares, by what the program that started it has noted. */
export async function commandState(host: LinuxHost, jail: JailSpec): Promise<CommandState | undefined> {
  const { commandPid, commandEnd } = host.layout.jail(jail.name)
  if (!jail.command) return undefined
  const pid = readValue(commandPid)
  const startedAt = await writtenAt(commandPid)
  if (!pid || startedAt === undefined) return undefined
  if (readValue(commandEnd) === undefined && isWatched(host, jail, Number(pid))) return running(startedAt)
  return ended(startedAt, readValue(commandEnd), await writtenAt(commandEnd))
}

/** Whether the command lives, or what will note its end. That it ended unseen is known only when neither does. */
function isWatched({ layout, cgroups }: LinuxHost, jail: JailSpec, pid: number): boolean {
  const { cgroup, consoleCgroup } = layout.jail(jail.name)
  const its = readOfProcess(pid, 'cgroup')?.split('\n')
  return its?.some((line) => line.endsWith(`:${cgroup}`)) || processesIn(cgroups, consoleCgroup).length > 0
}
