import { Command } from 'commander'
import { Host } from '#shared/host.ts'
import type { CommandContext } from './command-context.ts'
import { listAll } from './http/list-all.ts'
import { formatAge, formatBytes } from './print/amounts.ts'
import { tableLines } from './print/table.ts'

export function hostsCommand({ client, print }: CommandContext): Command {
  return new Command('hosts')
    .description('the hosts of the fleet: state, promised of what they have, worlds')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: true }) => {
      const items = await listAll(client(), '/v1/hosts')
      if (json) return print(JSON.stringify({ items, nextCursor: null }))
      print(
        ...hostTable(
          items.map((item) => Host.parse(item)),
          Date.now(),
        ),
      )
    })
}

export function hostTable(hosts: Host[], now: number): string[] {
  if (hosts.length === 0) return ['No hosts.']
  const rows = hosts.map(({ id, state, runtime, promised, capacity, worlds, lastSeen, reason }) => [
    id,
    state,
    runtime,
    `${promised.jails}/${capacity.jails}`,
    `${formatBytes(promised.memory)}/${formatBytes(capacity.memory)}`,
    `${promised.cpu}/${capacity.cpu}`,
    worlds
      .filter((world) => world.state === 'ready')
      .map(({ name }) => name)
      .join(' ') || '-',
    `${formatAge(lastSeen, now)} ago`,
    reason ?? '',
  ])
  return tableLines(['HOST', 'STATE', 'RUNTIME', 'JAILS', 'MEMORY', 'CPU', 'READY WORLDS', 'SEEN', ''], rows)
}
