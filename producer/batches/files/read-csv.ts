import { CsvError, type Info, type Parser, parse } from 'csv-parse'
import { largestBatch } from '#shared/batch.ts'
import { faultyFile, tooLarge } from '../faults/faults.ts'
import { delimiterOf, readHeader, type Table } from './csv-header.ts'
import { toRow } from './csv-row.ts'
import { openQuoteIn } from './open-quote.ts'
import type { Block } from './read-blocks.ts'
import type { RawRow } from './read-rows.ts'

type Read = { record: string[]; info: Info }

/** A row without anything in it. A spreadsheet has such rows where somebody has deleted something. */
const isBlank = (line: string) => /^[\s",;|]*$/.test(line)

/** The first line of a file that Excel is told its delimiter by. */
const delimiterLine = /^"?sep=(.)"?$/i

/**
 * Yields the rows of a CSV file (RFC 4180) with a header, in the form of a request in JSON. Cells may be separated by comma,
 * semicolon, tab or bar: by what the header is separated by.
 * @throws ProvostError `invalid_request` for a wrong header, misplaced quotes, or a file without rows.
 */
export async function* readCsv(blocks: AsyncIterable<Block>): AsyncGenerator<RawRow> {
  let reader: ReturnType<typeof openReader> | undefined
  let named: string | undefined
  for await (let block of blocks) {
    if (!reader) {
      const began = beginOf(block)
      named ??= began.delimiter
      if (!began.block) continue
      block = began.block
      reader = openReader(named ?? delimiterOf(block.text.split('\n')[0] ?? ''), block.line)
    }
    yield* reader.read(block.text)
  }
  if (!reader) throw faultyFile('The file is empty.', [{ line: 1, field: 'file', message: 'is empty' }])
  yield* await reader.end()
}

/** Returns what a file begins with from its header on, and the delimiter that a line before it names. */
function beginOf({ line, text }: Block): { delimiter?: string | undefined; block?: Block } {
  const lines = text.split('\n')
  const at = lines.findIndex((each) => !isBlank(each) && !delimiterLine.test(each))
  const before = at < 0 ? lines : lines.slice(0, at)
  const delimiter = before.map((each) => delimiterLine.exec(each)?.[1]).find(Boolean)
  return { delimiter, ...(at < 0 ? {} : { block: { line: line + at, text: lines.slice(at).join('\n') } }) }
}

/** Reads rows, block by block. `firstLine`: of the header in the file, from 1. */
function openReader(delimiter: string, firstLine: number) {
  const parser = openParser(delimiter)
  let table: Table | undefined
  let rows = 0
  /** What the parser has got after its last complete row: not much longer than the longest row may be. `line`: its first. */
  let rest = { line: firstLine, text: '' }

  function* rowsSoFar(): Generator<RawRow> {
    let lastLine = rest.line - 1
    for (let read = parser.read() as Read | null; read; read = parser.read()) {
      const { record, info } = read
      // `lines` of the parser is the line on which a row ends, from 1.
      lastLine = firstLine + info.lines - 1
      const line = lastLine - record.reduce((breaks, cell) => breaks + cell.split('\n').length - 1, 0)
      if (table) yield toRow(record, line, table)
      else table = readHeader(record, line, delimiter)
      rows += 1
    }
    rest = { line: lastLine + 1, text: withoutLines(rest.text, lastLine + 1 - rest.line) }
    if (parser.errored) throw asFault(parser.errored, firstLine, rest, delimiter)
  }

  return {
    // The parser works synchronously within `write`, so that no more than one block of the file is in memory.
    *read(text: string): Generator<RawRow> {
      rest.text += text
      parser.write(text)
      yield* rowsSoFar()
    },
    async end(): Promise<RawRow[]> {
      parser.end()
      await new Promise<void>((resolve) =>
        parser
          .once('readable', resolve)
          .once('end', resolve)
          .once('error', () => resolve()),
      )
      const last = [...rowsSoFar()]
      if (rows === 1)
        throw faultyFile('The file has a header only.', [{ line: firstLine, field: 'file', message: 'has a header only' }])
      return last
    },
  }
}

function openParser(delimiter: string): Parser {
  const parser = parse({
    delimiter,
    info: true,
    trim: true,
    // Every row with too many or too few cells is reported, not only the first.
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    record_delimiter: '\n',
    max_record_size: largestBatch.lineBytes,
  })
  parser.on('error', () => undefined)
  return parser
}

function withoutLines(text: string, count: number): string {
  let from = 0
  for (let i = 0; i < count; i += 1) {
    const end = text.indexOf('\n', from)
    if (end < 0) return ''
    from = end + 1
  }
  return text.slice(from)
}

const misplacedQuotes: { [Code in CsvError['code']]?: string } = {
  CSV_INVALID_CLOSING_QUOTE: 'has a quote within a quoted cell, which has to be written twice',
  INVALID_OPENING_QUOTE: 'has a quote within a cell, which has to be quoted, and its own quotes written twice',
}

/** The parser notices a quote that is not closed only where the next one, the longest row or the file ends. */
function asFault(error: Error, firstLine: number, rest: { line: number; text: string }, delimiter: string): Error {
  if (!(error instanceof CsvError)) return error
  const opened = openQuoteIn(rest.text, delimiter)
  if (opened !== undefined) {
    const line = rest.line + opened
    return faultyFile(
      `Line ${line} opens a quote that is not closed in that line, so that no row after it can be told from it.`,
      [{ line, field: 'line', message: 'opens a quote that is not closed' }],
      `Close the quote in line ${line}, or take it away; a quote within a quoted cell is written twice.`,
    )
  }
  const line = firstLine + Number(error['lines']) - 1
  if (error.code === 'CSV_MAX_RECORD_SIZE')
    return tooLarge(`The row that ends in line ${line} is longer than 64 KiB.`, [
      { line, field: 'line', message: 'is longer than 64 KiB' },
    ])
  const message = misplacedQuotes[error.code] ?? `is not CSV: ${error.message}`
  return faultyFile(`Line ${line} ${message}.`, [{ line, field: 'line', message }])
}
