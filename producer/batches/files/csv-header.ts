import { csvColumns, type RowFault } from '#shared/batch.ts'
import { faultyFile } from '../faults/faults.ts'

/** What the cells of a file mean: `columns` by their place, undefined for one that is ignored. `titles`: as the file has them. */
export type Table = { delimiter: string; columns: (Column | undefined)[]; titles: string[] }

const { required, optional } = csvColumns
export type Column = (typeof required | typeof optional)[number]
export const batchColumns: Column[] = [...required, ...optional]

/** The column in which rows that were refused say why; it is ignored when they are sent again. */
export const faultColumn = 'fault'

/** By its name as people write it, in any case, with blanks, `_` or `-`. */
const columnByName = new Map<string, Column>([
  ...batchColumns.map((column) => [column.toLowerCase(), column] as const),
  ['addresses', 'address'],
  ['label', 'labels'],
])
const plainName = (title: string) => title.toLowerCase().replaceAll(/[\s_-]/g, '')

/** Those that spreadsheet programs write, by the region of their user. */
const delimiters = [',', ';', '\t', '|']

/** For a wrong header: how many characters of a column are shown, and how many faults the detail lists. */
const longestTitle = 60
const shownInDetail = 10

/** Returns the delimiter with which most cells of a header are columns. */
export function delimiterOf(header: string): string {
  const known = (delimiter: string) =>
    header.split(delimiter).filter((cell) => columnByName.has(plainName(cell.replaceAll(/["']/g, '')))).length
  return delimiters.reduce((best, each) => (known(each) > known(best) ? each : best))
}

/** @throws ProvostError `invalid_request` naming each column that is unknown, missing, or there twice. */
export function readHeader(cells: string[], line: number, delimiter: string): Table {
  const titles = cells.slice(0, cells.findLastIndex((cell) => cell !== '') + 1)
  const columns = titles.map((title) => columnByName.get(plainName(title)))
  const errors = titles.flatMap((title, i) => {
    const field = title === '' ? `column ${i + 1}` : title.slice(0, longestTitle)
    const column = columns[i]
    if (column) return columns.indexOf(column) < i ? [{ line, field, message: 'stands twice in the header' }] : []
    return plainName(title) === faultColumn ? [] : [{ line, field, message: 'is no column of a batch' }]
  })
  for (const column of required)
    if (!columns.includes(column)) errors.push({ line, field: column, message: 'is missing in the header' })
  if (errors.length > 0) throw faultyHeader(errors, line, columns.some(Boolean))
  return { delimiter, columns, titles }
}

function faultyHeader(errors: RowFault[], line: number, isHeader: boolean) {
  const shown = errors.slice(0, shownInDetail).map(({ field, message }) => `${field} ${message}`)
  const faults = `${shown.join('; ')}${errors.length > shown.length ? '; …' : ''}`
  if (!isHeader)
    return faultyFile(
      `Line ${line} names no column of a batch: the file has no header.`,
      errors,
      'Begin it with a line like name,client,world.',
    )
  return faultyFile(
    `The header is not right: ${faults}. Columns are ${batchColumns.join(',')}, between commas; the first three are required.`,
    errors,
  )
}
