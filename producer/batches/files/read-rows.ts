import { faultyFile } from '../faults.ts'
import type { Block } from './read-blocks.ts'

/** One row as it stands in a file: what it says, or why it says nothing. `line`: where it begins. */
export type RawRow = { line: number; value: unknown } | { line: number; fault: { field: string; message: string } }

/** The rows of an NDJSON file; empty lines are none. @throws ProvostError `invalid_request` for a file without rows. */
export async function* readJsonLines(blocks: AsyncIterable<Block>): AsyncGenerator<RawRow> {
  let isEmpty = true
  for await (const { line: first, text } of blocks)
    for (const [i, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue
      isEmpty = false
      yield { line: first + i, ...parseLine(line) }
    }
  if (isEmpty) throw faultyFile('The file is empty.', [{ line: 1, field: 'file', message: 'is empty' }])
}

function parseLine(line: string): { value: unknown } | { fault: { field: string; message: string } } {
  try {
    return { value: JSON.parse(line) }
  } catch (error) {
    return { fault: { field: 'line', message: `is not JSON: ${error instanceof Error ? error.message : error}` } }
  }
}

/** The rows of a JSON body, which has no lines of its own: the place in `jails` stands for it. */
export async function* readJsonBody(jails: unknown[]): AsyncGenerator<RawRow> {
  for (const [i, value] of jails.entries()) yield { line: i + 1, value }
}
