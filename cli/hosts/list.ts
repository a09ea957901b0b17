import { Command } from 'commander'
import { Host, toleratedOffMs } from '#shared/host.ts'
import { formatBytes } from '#shared/size.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { listAll } from '../http/list-all.ts'
import { formatAge, formatClock, formatCores } from '../print/amounts.ts'
import { tableLines } from '../print/table.ts'
import { adoptCommand } from './adopt.ts'
import { cleanCommand } from './clean.ts'
import { forgetCommand } from './forget.ts'
import { inviteCommand } from './invite.ts'
import { leftoversCommand } from './leftovers.ts'
import { showHostCommand } from './show.ts'

export function hostsCommand(context: CommandContext): Command {
  const { client, print } = context
  const command = new Command('hosts')
    .description('the hosts of the fleet: state, promised of what they have, worlds; with a verb, one host')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: true }) => {
      const items = await listAll(client(), '/v1/hosts')
      if (json) return print(JSON.stringify({ items, nextCursor: null }))
      const hosts = items.map((item) => Host.parse(item))
      print(...hostTable(hosts, Date.now()))
    })
  for (const verb of [showHostCommand, inviteCommand, adoptCommand, cleanCommand, leftoversCommand, forgetCommand])
    command.addCommand(verb(context))
  return command
}

export function hostTable(hosts: Host[], now: number): string[] {
  if (hosts.length === 0) return ['No hosts.']
  const rows = hosts.map(({ id, state, runtime, promised, capacity, operations, drift, worlds, lastSeen, ...more }) => [
    id,
    state,
    runtime,
    `${promised.jails}/${capacity.jails}`,
    `${formatBytes(promised.memory)}/${formatBytes(capacity.memory)}`,
    `${formatCores(promised.cpu)}/${capacity.cpu}`,
    String(operations),
    String(drift),
    worlds
      .filter((world) => world.state === 'ready')
      .map(({ name }) => name)
      .join(' ') || '-',
    `${formatAge(lastSeen, now)} ago`,
    noteOf(more),
  ])
  const header = ['HOST', 'STATE', 'RUNTIME', 'JAILS', 'MEMORY', 'CPU', 'OPERATIONS', 'DRIFT', 'READY WORLDS', 'SEEN', '']
  return tableLines(header, rows)
}

/** Returns what somebody should see to. */
function noteOf({ reason, clockOffsetMs = 0 }: Pick<Host, 'reason' | 'clockOffsetMs'>): string {
  const clock = Math.abs(clockOffsetMs) > toleratedOffMs ? [`its clock is ${formatClock(clockOffsetMs)}`] : []
  return [...(reason ? [reason] : []), ...clock].join('; ')
}
