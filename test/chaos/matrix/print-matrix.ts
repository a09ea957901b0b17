import { columnOf } from './crash-points.ts'
import type { Cell } from './run-crash.ts'

const columns = ['before', 'during', 'after'] as const
const verdicts = ['resumed', 'undone', 'FAILED'] as const

/** A row for each kind of command of each plan, a column for when its worker was killed. */
export function printMatrix(cells: Cell[]): string {
  const rows = new Map<string, Cell[]>()
  for (const cell of cells) {
    const row = `${cell.plan}: ${cell.kill.label}`
    rows.set(row, [...(rows.get(row) ?? []), cell])
  }
  const width = Math.max(...[...rows.keys()].map(({ length }) => length))
  const lines = [...rows].map(([row, of]) => {
    const at = columns.map((column) => sum(of.filter(({ kill }) => columnOf(kill.when) === column)).padEnd(24))
    return `${row.padEnd(width)}  ${at.join('')}`.trimEnd()
  })
  const head = `${''.padEnd(width)}  ${columns.map((column) => column.padEnd(24)).join('')}`.trimEnd()
  return ['', head, ...lines, `${cells.length} points: ${sum(cells)}`, ''].join('\n')
}

function sum(cells: Cell[]): string {
  const counts = verdicts.map((verdict) => [cells.filter(({ how }) => how === verdict).length, verdict] as const)
  return counts.flatMap(([count, verdict]) => (count > 0 ? [`${count} ${verdict}`] : [])).join(', ')
}
