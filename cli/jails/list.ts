import { Command } from 'commander'
import { Jail, type JailCommand } from '#shared/jail.ts'
import { formatBytes } from '#shared/size.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { listAll } from '../http/list-all.ts'
import { tableLines } from '../print/table.ts'
import { describeCommand } from './describe-command.ts'

type ListOptions = { client?: string; host?: string; state?: string; json?: true }

export function listCommand({ client, print }: CommandContext): Command {
  return new Command('list')
    .description('the jails of the fleet')
    .option('--client <client>', 'only those of this client')
    .option('--host <host>', 'only those on this host')
    .option('--state <state>', 'only those in this state, like running or failed')
    .option('--json', 'print them as JSON')
    .action(async ({ json, ...query }: ListOptions) => {
      const items = await listAll(client(), '/v1/jails', { ...query, limit: '500' })
      if (json) print(JSON.stringify({ items, nextCursor: null }))
      else print(...jailTable(items.map((item) => Jail.parse(item))))
    })
}

export function jailTable(jails: Jail[]): string[] {
  if (jails.length === 0) return ['No jails.']
  const rows = jails.map(({ name, client, state, host, world, limits, addresses, reason, command }) => [
    name,
    client,
    state,
    host,
    world,
    formatBytes(limits.memory),
    String(limits.cpu),
    addresses.join(' '),
    reason ?? (state === 'running' && command && hasFailed(command) ? `its command ${describeCommand(command)}` : ''),
  ])
  return tableLines(['JAIL', 'CLIENT', 'STATE', 'HOST', 'WORLD', 'MEMORY', 'CPU', 'ADDRESSES', ''], rows)
}

/** As drift is: one that has done its work, and so has ended with 0, is none. */
function hasFailed({ state, exitCode, signal }: JailCommand): boolean {
  return state === 'exited' && (signal !== undefined || exitCode !== 0)
}
