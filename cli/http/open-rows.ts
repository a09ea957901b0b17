import { createReadStream, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { InvalidArgumentError } from 'commander'
import { errnoOf } from '#shared/errors.ts'

/** What a batch's file can be, and what HTTP calls it. */
export const formats = { csv: 'text/csv', ndjson: 'application/x-ndjson', json: 'application/json' } as const
export type Format = keyof typeof formats

export type Rows = { open(): Readable; isRepeatable: boolean }

const endings: Record<string, Format> = { csv: 'csv', ndjson: 'ndjson', jsonl: 'ndjson', json: 'json' }

/** What a file is by the end of its name; undefined for any other end, and for stdin. */
export function formatOf(file: string): Format | undefined {
  return endings[/\.([a-z]+)$/i.exec(file)?.[1]?.toLowerCase() ?? '']
}

/** Commander's argument: a file to read, `-` for stdin. @throws InvalidArgumentError when there is none to read */
export function parseFile(file: string): string {
  if (file === '-') return file
  try {
    if (statSync(file).isDirectory()) throw new InvalidArgumentError('It is a directory.')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new InvalidArgumentError('There is no such file.')
    throw error instanceof InvalidArgumentError ? error : new InvalidArgumentError(String(error))
  }
  return file
}

/** A pipe can be read only once, also one that has a name. */
export function openRows(file: string): Rows {
  if (file === '-') return { open: () => process.stdin, isRepeatable: false }
  return { open: () => createReadStream(file), isRepeatable: statSync(file).isFile() }
}
