import { Command } from 'commander'
import { z } from 'zod'
import { Host } from '#shared/host.ts'
import type { CommandContext } from './command-context.ts'
import { listAll } from './http/list-all.ts'
import { tableLines } from './print/table.ts'

export function worldsCommand({ client, print }: CommandContext): Command {
  return new Command('worlds')
    .description('the worlds that jails can be made from, and how they stand on each host')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: true }) => {
      if (json) return print(JSON.stringify({ items: await listAll(client(), '/v1/worlds'), nextCursor: null }))
      const hosts = await listAll(client(), '/v1/hosts')
      print(...worldTable(z.array(Host).parse(hosts)))
    })
}

export function worldTable(hosts: Host[]): string[] {
  const rows = hosts.flatMap(({ id, worlds }) =>
    worlds.map(({ name, method, state, percent, digest, error }) => [
      name,
      id,
      method,
      state === 'filling' && percent !== undefined ? `filling ${percent}%` : state,
      digest.slice(0, 12),
      error ?? '',
    ]),
  )
  rows.sort(([a = ''], [b = '']) => (a < b ? -1 : a > b ? 1 : 0))
  return rows.length === 0 ? ['No worlds.'] : tableLines(['WORLD', 'HOST', 'METHOD', 'STATE', 'DIGEST', ''], rows)
}
