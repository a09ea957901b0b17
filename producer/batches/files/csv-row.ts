import { split } from 'shlex'
import type { Column, Table } from './csv-header.ts'
import type { RawRow } from './read-rows.ts'

const limits = ['memory', 'cpu', 'processes', 'disk'] as const

type Cells = { [Name in Column]?: string }

/** Returns a row in the form of a request in JSON. A cell that cannot be read as what it should be stays as it is. */
export function toRow(record: string[], line: number, table: Table): RawRow {
  const source = { table, cells: record }
  const { columns } = table
  // Spreadsheet programs also write cells beyond the last column, all empty.
  const length = Math.max(columns.length, record.findLastIndex((cell) => cell !== '') + 1)
  if (length > columns.length || record.length < columns.length) return { line, source, fault: wrongLength(record, table) }
  const cells: Cells = {}
  for (const [i, column] of columns.entries()) if (column && record[i]) cells[column] = record[i]
  const { address, memory, cpu, processes, disk, setuid, command, labels, ...plain } = cells
  const asked = { memory, cpu: toNumber(cpu), processes: toInteger(processes), disk }
  return {
    line,
    source,
    value: {
      ...plain,
      ...(address === undefined ? {} : { addresses: address.split(/[\s;,]+/).filter((each) => each !== '') }),
      ...(limits.some((column) => column in cells) ? { limits: asked } : {}),
      ...(setuid === undefined ? {} : { privileges: { setuid: toBoolean(setuid) } }),
      ...(command === undefined ? {} : { command: toWords(command) }),
      ...(labels === undefined ? {} : { labels: toLabels(labels) }),
    },
  }
}

function wrongLength({ length }: string[], { columns, delimiter }: Table) {
  const message = `has ${length} cells, the header has ${columns.length}`
  const isQuoteMissing = length > columns.length && delimiter === ','
  return { field: 'line', message, ...(isQuoteMissing ? { cause: `${message}; a cell with a comma has to be quoted` } : {}) }
}

/** A decimal comma is one unless it may also separate thousands, like in 1,024. */
function toNumber(cell: string | undefined): number | string | undefined {
  if (cell === undefined || /^\d+(\.\d+)?$/.test(cell)) return cell && Number(cell)
  return /^(0,\d+|\d+,(\d{1,2}|\d{4,}))$/.test(cell) ? Number(cell.replace(',', '.')) : cell
}

/** Without a fraction: 1.000 may be a thousand. */
function toInteger(cell: string | undefined): number | string | undefined {
  return cell !== undefined && /^\d+$/.test(cell) ? Number(cell) : cell
}

/** In any case: spreadsheet programs write TRUE. */
function toBoolean(cell: string): boolean | string {
  return /^(true|false)$/i.test(cell) ? cell.toLowerCase() === 'true' : cell
}

/** Words between blanks, with quotes as in a shell, or an array in JSON. */
function toWords(cell: string): unknown {
  if (cell.startsWith('[')) return fromJson(cell)
  try {
    return split(cell)
  } catch {
    return cell
  }
}

/** `KEY=VALUE` between blanks, with quotes as in a shell, or an object in JSON. */
function toLabels(cell: string): unknown {
  if (cell.startsWith('{')) return fromJson(cell)
  const words = toWords(cell)
  if (!Array.isArray(words) || !words.every((word) => word.indexOf('=') > 0)) return cell
  const pairs = words.map((word: string) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)])
  const labels = Object.fromEntries(pairs)
  return Object.keys(labels).length === pairs.length ? labels : cell
}

function fromJson(cell: string): unknown {
  try {
    return JSON.parse(cell)
  } catch {
    return cell
  }
}

/** What a cell must be that was left as it is. */
const expected: { [Name in Column]?: string } = {
  cpu: 'must be a number of cores, like 0.5',
  processes: 'must be a whole number',
  setuid: 'must be true or false',
  command: 'must be words between blanks, each quote closed',
  labels: 'must be KEY=VALUE between blanks, like zone=eu note="two words", each key once',
}

/** Returns why a cell is no value of its column at all, if `message`, of the parser of requests, says that it is not. */
export function misread(column: string, message: string): string | undefined {
  return / received string$/.test(message) ? expected[column as Column] : undefined
}

/** Returns the column that a field of a request came from. */
export function columnOf(field: string): string {
  const [first = '', second] = field.split('.')
  if (first === 'addresses') return 'address'
  if ((first === 'limits' || first === 'privileges') && second) return second
  return first === 'command' || first === 'labels' ? first : field
}
