import type { FoundFault } from '../faults/fault-causes.ts'
import { faultyFile } from '../faults/faults.ts'
import { faultColumn, type Table } from './csv-header.ts'
import type { Block } from './read-blocks.ts'

type Parsed = { value: unknown } | { fault: FoundFault }
/** What a row was read from: cells of CSV, or the text of a value in JSON. */
type Source = string | { table: Table; cells: string[] }
/** One row of a file: its value, or why it has none. `line`: where it begins, from 1. */
export type RawRow = { line: number; source: Source } & Parsed

/** Yields the rows of an NDJSON file, without empty lines. @throws ProvostError `invalid_request` for a file without rows. */
export async function* readJsonLines(blocks: AsyncIterable<Block>): AsyncGenerator<RawRow> {
  let isEmpty = true
  for await (const { line: first, text } of blocks)
    for (const [i, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue
      isEmpty = false
      yield { line: first + i, source: line, ...parseLine(line) }
    }
  if (isEmpty) throw faultyFile('The file is empty.', [{ line: 1, field: 'file', message: 'is empty' }])
}

function parseLine(line: string): Parsed {
  try {
    return { value: withoutFault(JSON.parse(line)) }
  } catch (error) {
    return {
      fault: { field: 'line', message: `is not JSON: ${error instanceof Error ? error.message : error}`, cause: 'is not JSON' },
    }
  }
}

/** Yields the rows of a JSON body. Their `line` is the position in `jails`, from 1. */
export async function* readJsonBody(jails: unknown[]): AsyncGenerator<RawRow> {
  for (const [i, value] of jails.entries()) yield { line: i + 1, source: JSON.stringify(value), value: withoutFault(value) }
}

/** A row that was refused is sent again with what was said of it. */
function withoutFault(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !(faultColumn in value)) return value
  const { [faultColumn]: _, ...row } = value
  return row
}
