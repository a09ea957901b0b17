import type { RowFault } from '#shared/batch.ts'
import { type ErrorFacts, ProvostError } from '#shared/errors.ts'

/** How many faults, and rows of a dry run, an answer names. */
export const shownAtMost = 1_000

export type Faults = ReturnType<typeof makeFaults>

/** Collects what is wrong with the rows of a batch: the first of it, and how much more. */
export function makeFaults() {
  const shown: RowFault[] = []
  let count = 0
  let rows = 0
  return {
    shown,
    /** All that is wrong with one row. */
    add(faults: RowFault[]): void {
      rows += 1
      count += faults.length
      shown.push(...faults.slice(0, shownAtMost - shown.length))
    },
    /** How many rows something is wrong with. */
    rows: () => rows,
    /** How many are not shown. */
    more: () => count - shown.length,
  }
}

const hint = 'Correct the named rows and send the file again, or send it with skipInvalid=true to leave them out.'

/** @returns the 400 that names what is wrong with the rows. */
export function faultyRows(faults: Faults): ProvostError {
  const [first] = faults.shown
  const what = first ? `; the first: line ${first.line}, ${first.field} ${first.message}` : ''
  const detail = `${faults.rows()} ${faults.rows() === 1 ? 'row is' : 'rows are'} not right${what}. Nothing was accepted.`
  return new ProvostError('invalid_request', detail, { hint, errors: faults.shown, more: faults.more() })
}

/** @returns the 400 for a file that cannot be read as what it should be. */
export function faultyFile(detail: string, all: ErrorFacts['errors'] = []): ProvostError {
  const errors = all.slice(0, shownAtMost)
  const hint = 'Correct the file and send it again.'
  return new ProvostError('invalid_request', detail, { hint, errors, more: all.length - errors.length })
}

/** @returns the 413 for a file with too much of something. */
export function tooLarge(detail: string, errors: RowFault[] = []): ProvostError {
  const hint = 'A batch has at most 100,000 rows and 64 MiB, and a line 64 KiB; send several.'
  return new ProvostError('too_large', detail, { hint, ...(errors.length > 0 ? { errors, more: 0 } : {}) })
}
