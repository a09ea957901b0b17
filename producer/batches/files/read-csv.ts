import { CsvError, type Info, parse } from 'csv-parse'
import { csvColumns, largestBatch } from '#shared/batch.ts'
import { AskedLimits } from '#shared/jail.ts'
import { faultyFile, tooLarge } from '../faults.ts'
import type { Block } from './read-blocks.ts'
import type { RawRow } from './read-rows.ts'

const { required, optional } = csvColumns
const columns = [...required, ...optional]
const limits = Object.keys(AskedLimits.shape)

/** For a wrong header: how many characters of a column are shown, and how many faults the detail lists. */
const longestColumn = 60
const shownInDetail = 10

type Read = { record: string[]; info: Info }

/**
 * Yields the rows of a CSV file (RFC 4180) with a header, in the form of a request in JSON.
 * @throws ProvostError `invalid_request` for a wrong header, misplaced quotes, or a file without rows.
 */
export async function* readCsv(blocks: AsyncIterable<Block>): AsyncGenerator<RawRow> {
  const parser = parse({
    info: true,
    trim: true,
    // Every row with too many or too few cells is reported, not only the first.
    relax_column_count: true,
    skip_empty_lines: true,
    record_delimiter: '\n',
    max_record_size: largestBatch.lineBytes,
  })
  parser.on('error', () => undefined)
  let header: string[] | undefined
  let rows = 0

  function* rowsSoFar(): Generator<RawRow> {
    for (let read = parser.read() as Read | null; read; read = parser.read()) {
      if (header) yield toRow(read, header)
      else header = checkHeader(read)
      rows += 1
    }
    if (parser.errored) throw asFault(parser.errored)
  }
  // The parser works synchronously within `write`, so that no more than one block of the file is in memory.
  for await (const { text } of blocks) {
    parser.write(text)
    yield* rowsSoFar()
  }
  parser.end()
  await new Promise<void>((resolve) =>
    parser
      .once('readable', resolve)
      .once('end', resolve)
      .once('error', () => resolve()),
  )
  yield* rowsSoFar()
  if (!header) throw faultyFile('The file is empty.', [{ line: 1, field: 'file', message: 'is empty' }])
  if (rows === 1) throw faultyFile('The file has a header only.', [{ line: 1, field: 'file', message: 'has a header only' }])
}

function checkHeader({ record, info }: Read): string[] {
  const line = firstLineOf(record, info)
  const errors = record.flatMap((column, i) => {
    const field = column === '' ? `column ${i + 1}` : column.slice(0, longestColumn)
    if (!columns.includes(column)) return [{ line, field, message: 'is no column of a batch' }]
    return record.indexOf(column) < i ? [{ line, field: column, message: 'stands twice in the header' }] : []
  })
  for (const column of required)
    if (!record.includes(column)) errors.push({ line, field: column, message: 'is missing in the header' })
  if (errors.length === 0) return record
  const shown = errors.slice(0, shownInDetail).map(({ field, message }) => `${field} ${message}`)
  throw faultyFile(
    `The header is not right: ${shown.join('; ')}${errors.length > shown.length ? '; …' : ''}. ` +
      `Columns are ${columns.join(',')}, between commas; the first three are required.`,
    errors,
  )
}

function toRow({ record, info }: Read, header: string[]): RawRow {
  const line = firstLineOf(record, info)
  if (record.length !== header.length)
    return { line, fault: { field: 'line', message: `has ${record.length} cells, the header has ${header.length}` } }
  const cells = Object.fromEntries(header.flatMap((column, i) => (record[i] === '' ? [] : [[column, record[i]]])))
  const { address, ...others } = cells as Record<string, string>
  const plain = Object.fromEntries(Object.entries(others).filter(([column]) => !limits.includes(column)))
  const asked = Object.fromEntries(limits.map((limit) => [limit, toNumber(others[limit])]))
  return {
    line,
    value: {
      ...plain,
      ...(address === undefined ? {} : { addresses: address.split(/[\s;]+/).filter((each) => each !== '') }),
      ...(limits.some((column) => column in cells) ? { limits: asked } : {}),
    },
  }
}

/** Leaves a cell that is not a number as it is: it is refused later, like any other wrong value. */
function toNumber(cell: string | undefined): number | string | undefined {
  return cell !== undefined && /^\d+(\.\d+)?$/.test(cell) ? Number(cell) : cell
}

/** Returns the column that a field of a request came from. */
export function columnOf(field: string): string {
  if (field.startsWith('addresses')) return 'address'
  return field.startsWith('limits.') ? field.slice('limits.'.length) : field
}

/** `lines` of the parser is the line on which a row ends. */
function firstLineOf(record: string[], { lines }: Info): number {
  return lines - record.reduce((breaks, cell) => breaks + cell.split('\n').length - 1, 0)
}

function asFault(error: Error): Error {
  if (!(error instanceof CsvError)) return error
  const line = Number(error['lines'])
  if (error.code === 'CSV_MAX_RECORD_SIZE')
    return tooLarge(`The row that ends in line ${line} is longer than 64 KiB; is a quote open?`, [
      { line, field: 'line', message: 'is longer than 64 KiB' },
    ])
  return faultyFile(`Line ${line} is not CSV: ${error.message}.`, [
    { line, field: 'line', message: `is not CSV: ${error.message}` },
  ])
}
