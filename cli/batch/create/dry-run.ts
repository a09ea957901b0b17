import { DryRunOfBatch } from '#shared/batch.ts'
import { type CommandContext, Unsuccessful } from '../../arguments/command-context.ts'
import type { Upload } from '../../http/client.ts'
import { formatCount } from '../../print/amounts.ts'
import { durationText } from '../../print/operation-lines.ts'
import { leftOutLines } from '../../print/row-error-lines.ts'
import { tableLines } from '../../print/table.ts'
import { sendFile } from './send-file.ts'

/** Asks where the jails of a file would go, without making them. @throws Refusal, Unreachable, Unsuccessful unless all fit */
export async function dryRunBatch(
  context: CommandContext,
  upload: Upload,
  { rejects, json }: { rejects?: string; json?: true },
): Promise<void> {
  const answer = await sendFile(context, upload, rejects)
  const forecast = DryRunOfBatch.parse(answer.body)
  context.print(...(json ? [answer.text] : forecastLines(forecast)))
  if (!forecast.fits)
    throw new Unsuccessful(['Not all of the jails fit now. Made all the same, those that do not would wait for room.'])
}

/** How many jails would go to each host, which fit on none, and how long all may take. */
export function forecastLines({ rows, more, hosts, fits, eta, skipped = [], causes }: DryRunOfBatch): string[] {
  const placed = Object.entries(hosts).sort(([, a], [, b]) => b - a)
  const misfits = rows.filter(({ host }) => host === undefined)
  const made = placed.reduce((sum, [, jails]) => sum + jails, 0)
  const there = rows.filter(({ host, reason }) => host !== undefined && reason !== undefined).length
  const unnamed = rows.length + more - made - misfits.length - there
  const alreadyThere = fits ? there + unnamed : there
  return [
    ...leftOutLines(skipped, causes),
    ...paragraph(placed.length > 0 ? hostTable(placed) : []),
    ...paragraph([
      ...(misfits.length > 0 ? misfitTable(misfits) : []),
      ...(!fits && unnamed > 0 ? [`and ${formatCount(unnamed)} more, which fit nowhere or are there already`] : []),
    ]),
    `${formatCount(made)} of ${formatCount(rows.length + more)} jails would be made${eta ? ` in ${durationText(eta)}` : ''}.`,
    ...(alreadyThere > 0 ? [`There already, as asked: ${formatCount(alreadyThere)}.`] : []),
  ]
}

function paragraph(lines: string[]): string[] {
  return lines.length > 0 ? [...lines, ''] : []
}

function misfitTable(rows: DryRunOfBatch['rows']): string[] {
  return tableLines(
    ['LINE', 'JAIL', 'WHY IT FITS NOWHERE'],
    rows.map(({ line, name, reason }) => [String(line), name, reason ?? '']),
  )
}

function hostTable(hosts: [string, number][]): string[] {
  return tableLines(
    ['HOST', 'JAILS'],
    hosts.map(([id, count]) => [id, formatCount(count)]),
  )
}
