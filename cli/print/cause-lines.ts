import type { Cause } from '#shared/batch.ts'
import { formatCount } from './amounts.ts'
import { cliHint } from './cli-hint.ts'
import { tableLines } from './table.ts'

/** The most hosts that are named; further ones are only counted. */
const namedHosts = 4

/** Why jails of a batch failed, as a table, the most frequent cause first; without failures, returns no lines. */
export function causeTable(causes: Cause[]): string[] {
  if (causes.length === 0) return []
  const width = Math.max(...causes.map(({ count }) => formatCount(count).length), 'JAILS'.length)
  const rows = inOrder(causes).map(({ count, code, step, world, hosts }) => [
    formatCount(count).padStart(width),
    code,
    step ?? '-',
    world || '-',
    hostText(hosts),
  ])
  return tableLines(['JAILS', 'CODE', 'STEP', 'WORLD', 'HOSTS'], rows)
}

/** The same table with lines below each cause: what to do, where to look, and how to retry all of its jails. */
export function causeLines(batch: string, causes: Cause[]): string[] {
  const [header, ...rows] = causeTable(causes)
  if (header === undefined) return []
  const details = inOrder(causes).map(({ id, message, hint, sampleOperation }) => [
    `  ${message}`,
    `  what to do: ${cliHint(hint)}`,
    ...(sampleOperation ? [`  one of them: provost log ${sampleOperation}`] : []),
    `  to try them again: provost batch retry ${batch} --cause ${id} --watch`,
  ])
  return [header, ...rows.flatMap((row, i) => [row, ...(details[i] ?? [])])]
}

function inOrder(causes: Cause[]): Cause[] {
  return causes.toSorted((a, b) => b.count - a.count)
}

function hostText(hosts: string[]): string {
  if (hosts.length === 0) return '-'
  const named = hosts.slice(0, namedHosts).join(' ')
  return hosts.length > namedHosts ? `${named} and ${hosts.length - namedHosts} more` : named
}
