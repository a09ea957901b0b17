import type { RowFault } from '#shared/batch.ts'
import { type ErrorFacts, ProvostError } from '#shared/errors.ts'
import { type FoundFault, makeFaultCauses } from './fault-causes.ts'

/** How many faults, or rows of a dry run, an answer lists at most. */
export const shownAtMost = 1_000

export type Faults = ReturnType<typeof makeFaults>

/**
 * Collects the faults of a batch's rows: the first of them, how many more there are, and all of them by cause.
 *
 * @param note is given the faults of each row that has some.
 */
export function makeFaults(note: (row: number, faults: FoundFault[]) => void = () => undefined) {
  const shown: RowFault[] = []
  const causes = makeFaultCauses()
  let count = 0
  let rows = 0
  return {
    shown,
    /** Adds all faults of one row. `line`: in the file; `row`: its number, both from 1. */
    add(line: number, row: number, faults: FoundFault[]): void {
      rows += 1
      count += faults.length
      note(row, faults)
      for (const fault of faults) causes.add(line, fault)
      for (const { field, message } of faults.slice(0, shownAtMost - shown.length)) shown.push({ line, row, field, message })
    },
    /** Returns how many rows have faults. */
    rows: () => rows,
    /** Returns how many faults are not shown. */
    more: () => count - shown.length,
    causes: () => causes.list(),
  }
}

const hint =
  'Correct the named rows and send the file again, or send it with skipInvalid=true to leave them out. ' +
  'POST /v1/batches/rejects returns them as a file to correct.'
const clientHint = ' A client is an id; what people call it stands in clientName.'

/** Returns the 400 that lists the faults of the rows. */
export function faultyRows(faults: Faults): ProvostError {
  const [first] = faults.shown
  const what = first ? `; the first: line ${first.line}, ${first.field} ${first.message}` : ''
  const detail = `${faults.rows()} ${faults.rows() === 1 ? 'row is' : 'rows are'} not right${what}. Nothing was accepted.`
  const causes = faults.causes()
  return new ProvostError('invalid_request', detail, {
    hint: causes.some(({ field, value }) => field === 'client' && value) ? hint + clientHint : hint,
    errors: faults.shown,
    more: faults.more(),
    causes,
  })
}

/** Returns the 400 for a file that cannot be read as its type. */
export function faultyFile(
  detail: string,
  all: ErrorFacts['errors'] = [],
  hint = 'Correct the file and send it again.',
): ProvostError {
  const errors = all.slice(0, shownAtMost)
  return new ProvostError('invalid_request', detail, { hint, errors, more: all.length - errors.length })
}

/** Returns the 413 for a file with too many bytes or rows, or too long a line. */
export function tooLarge(detail: string, errors: RowFault[] = []): ProvostError {
  const hint = 'A batch has at most 100,000 rows and 64 MiB, and a line 64 KiB; send several.'
  return new ProvostError('too_large', detail, { hint, ...(errors.length > 0 ? { errors, more: 0 } : {}) })
}
