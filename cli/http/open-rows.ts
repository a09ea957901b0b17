import { createReadStream, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { InvalidArgumentError } from 'commander'
import { errnoOf } from '#shared/errors.ts'

/** The formats of a batch's file, with their media types. */
export const formats = { csv: 'text/csv', ndjson: 'application/x-ndjson', json: 'application/json' } as const
export type Format = keyof typeof formats

export type Rows = { open(): Readable; isRepeatable: boolean }

const endings: Record<string, Format> = { csv: 'csv', tsv: 'csv', ndjson: 'ndjson', jsonl: 'ndjson', json: 'json' }

/** Returns the format of a file by its extension; undefined for an unknown one and for stdin. */
export function formatOf(file: string): Format | undefined {
  return endings[/\.([a-z]+)$/i.exec(file)?.[1]?.toLowerCase() ?? '']
}

/** Checks an argument that names a file to read, or `-` for stdin. @throws InvalidArgumentError when there is no such file */
export function parseFile(file: string): string {
  if (file === '-') return file
  try {
    if (statSync(file).isDirectory()) throw new InvalidArgumentError('It is a directory.')
    if (/\.(xlsx?|ods|numbers)$/i.test(file))
      throw new InvalidArgumentError('It is a workbook. Save it as "CSV UTF-8", and name that file.')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new InvalidArgumentError('There is no such file.')
    throw error instanceof InvalidArgumentError ? error : new InvalidArgumentError(String(error))
  }
  return file
}

/** Opens a file of rows. A pipe, also a named one, can be read only once. */
export function openRows(file: string): Rows {
  if (file === '-') return { open: () => process.stdin, isRepeatable: false }
  return { open: () => createReadStream(file), isRepeatable: statSync(file).isFile() }
}
