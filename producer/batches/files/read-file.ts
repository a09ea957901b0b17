import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { readBlocks } from './read-blocks.ts'
import { readCsv } from './read-csv.ts'
import { type RawRow, readJsonLines } from './read-rows.ts'

export type FileForm = 'csv' | 'ndjson'

/** A file as it is read. `content`: the sha256 of what was read so far. */
export type ReadFile = { form: FileForm; rows: AsyncIterable<RawRow>; content(): string }

/** Reads a file as it arrives. `charset`: the encoding that the sender says it has. */
export function readFile(body: Readable, form: FileForm, charset: string | undefined): ReadFile {
  const hash = createHash('sha256')
  const blocks = readBlocks(body, (bytes) => hash.update(bytes), charset)
  return { form, rows: form === 'csv' ? readCsv(blocks) : readJsonLines(blocks), content: () => hash.digest('hex') }
}
