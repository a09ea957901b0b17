import { expect, test } from 'vitest'
import { makeFaults } from '../../../../producer/batches/faults/faults.ts'
import { type RawRow, readJsonLines } from '../../../../producer/batches/files/read-rows.ts'
import { validateRows } from '../../../../producer/batches/intake/validate-rows.ts'

async function* rowsOf(...texts: string[]): AsyncGenerator<RawRow> {
  async function* block() {
    yield { line: 1, text: texts.join('\n') }
  }
  yield* readJsonLines(block())
}

test.each([
  ['fields that there are not', JSON.stringify(Object.fromEntries(Array.from({ length: 8_000 }, (_, i) => [`f${i}`, 1])))],
  ['wrong values', JSON.stringify({ labels: Object.fromEntries(Array.from({ length: 8_000 }, (_, i) => [`X${i}`, 1])) })],
])('a row with thousands of %s has a few faults, and says that it has more', async (_, text) => {
  const noted: number[] = []
  const faults = makeFaults((_row, found) => noted.push(found.length))
  for await (const page of validateRows(rowsOf(text, '{}'), 'ndjson', [], faults)) expect(page).toEqual([])
  expect(noted).toEqual([21, 3])
  expect(faults.shown[20]).toEqual({ line: 1, row: 1, field: 'row', message: 'has more faults' })
})
