import { Command } from 'commander'
import { z } from 'zod'
import { WorldState } from '#shared/host.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { listAll } from '../http/list-all.ts'
import { tableLines } from '../print/table.ts'

const World = z.object({
  name: z.string(),
  /** Platforms on which its hosts define it differently. */
  conflict: z.array(z.string()).optional(),
  hosts: z.array(WorldState.omit({ name: true }).extend({ host: z.string(), platform: z.string() })),
})
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
  const rows = worlds.flatMap(({ name, conflict = [], hosts }) =>
    hosts.map((world) => [
      name,
      world.host,
      world.method,
      worldStateText(world),
      world.digest.slice(0, 12),
      conflict.includes(world.platform) ? `not placed: hosts of ${world.platform} define it differently` : (world.error ?? ''),
    ]),
  )
  return rows.length === 0 ? ['No worlds.'] : tableLines(['WORLD', 'HOST', 'METHOD', 'STATE', 'DIGEST', ''], rows)
}

/** The state of a world, with the percentage while it fills. */
export function worldStateText({ state, percent }: Pick<WorldState, 'state' | 'percent'>): string {
  return state === 'filling' && percent !== undefined ? `filling ${percent}%` : state
}
