import { Command } from 'commander'
import { Batch } from '#shared/batch.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { listAll } from '../http/list-all.ts'
import { formatAge, formatCount } from '../print/amounts.ts'
import { percentOf } from '../print/batch-lines.ts'
import { tableLines } from '../print/table.ts'

export function listBatchesCommand({ client, print }: CommandContext): Command {
  return new Command('list')
    .description('the batches of the fleet')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: true }) => {
      const items = await listAll(client(), '/v1/batches')
      if (json) return print(JSON.stringify({ items, nextCursor: null }))
      const batches = items.map((item) => Batch.parse(item))
      print(...batchTable(batches, Date.now()))
    })
}

export function batchTable(batches: Batch[], now: number): string[] {
  if (batches.length === 0) return ['No batches.']
  const rows = batches.map((batch) => {
    const { queued, running, succeeded, failed, cancelled } = batch.counts
    return [
      batch.id,
      batch.name,
      batch.status,
      `${percentOf(batch)}%`,
      ...[queued + running + succeeded + failed + cancelled, succeeded, failed, running].map(formatCount),
      `${formatAge(batch.createdAt, now)} ago`,
      batch.reason ?? '',
    ]
  })
  return tableLines(['BATCH', 'NAME', 'STATUS', 'DONE', 'JAILS', 'SUCCEEDED', 'FAILED', 'RUNNING', 'CREATED', ''], rows)
}
