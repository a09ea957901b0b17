import { Command } from 'commander'
import { z } from 'zod'
import { WorldState } from '#shared/host.ts'
import type { CommandContext } from './command-context.ts'
import { listAll } from './http/list-all.ts'
import { tableLines } from './print/table.ts'

const World = z.object({ name: z.string(), hosts: z.array(WorldState.omit({ name: true }).extend({ host: z.string() })) })
type World = z.infer<typeof World>

export function worldsCommand({ client, print }: CommandContext): Command {
  return new Command('worlds')
    .description('the worlds that jails can be made from, and how they stand on each host')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: true }) => {
      const items = await listAll(client(), '/v1/worlds')
      if (json) return print(JSON.stringify({ items, nextCursor: null }))
      print(...worldTable(items.map((item) => World.parse(item))))
    })
}

export function worldTable(worlds: World[]): string[] {
  const rows = worlds.flatMap(({ name, hosts }) =>
    hosts.map(({ host, method, state, percent, digest, error }) => [
      name,
      host,
      method,
      state === 'filling' && percent !== undefined ? `filling ${percent}%` : state,
      digest.slice(0, 12),
      error ?? '',
    ]),
  )
  return rows.length === 0 ? ['No worlds.'] : tableLines(['WORLD', 'HOST', 'METHOD', 'STATE', 'DIGEST', ''], rows)
}
