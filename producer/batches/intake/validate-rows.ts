import type { z } from 'zod'
import { largestBatch } from '#shared/batch.ts'
import { CreateJail } from '#shared/jail.ts'
import { offersOf, unknownTo } from '../../placement/offers.ts'
import type { PlacementHost } from '../../placement/placement-host.ts'
import type { NumberedRow } from '../../records/batches/batch-row.ts'
import type { FoundFault } from '../faults/fault-causes.ts'
import { type Faults, tooLarge } from '../faults/faults.ts'
import { columnOf, misread } from '../files/csv-row.ts'
import type { RawRow } from '../files/read-rows.ts'
import { canonicalAddress } from '../rows/match-request.ts'
import { suggestValue } from './suggest-value.ts'

export type BatchForm = 'json' | 'ndjson' | 'csv'

const pageSize = 500
const longestValue = 100
/** Of one row: a line has room for thousands, and they cost the time of all other requests. */
const mostFaults = 20

/**
 * Yields the valid ones of every 500 rows. Adds the faults of the others to `faults`.
 * @throws ProvostError `too_large` for too many rows.
 */
export async function* validateRows(
  rows: AsyncIterable<RawRow>,
  form: BatchForm,
  hosts: PlacementHost[],
  faults: Faults,
): AsyncGenerator<NumberedRow[]> {
  const offers = offersOf(hosts)
  const lineOf = new Map<string, number>()
  const lineOfAddress = new Map<string, number>()
  let page: NumberedRow[] = []
  let row = 0
  for await (const raw of rows) {
    row += 1
    if (row > largestBatch.rows) throw tooLarge('The batch has more than 100,000 rows.')
    const right = validate(raw, row)
    if (right) page.push(right)
    if (row % pageSize === 0) {
      yield page
      page = []
    }
  }
  if (row % pageSize > 0) yield page

  function validate(raw: RawRow, row: number): NumberedRow | undefined {
    const { line } = raw
    const refuse = (reasons: FoundFault[]) => {
      const first = firstOf(reasons)
      faults.add(line, row, form === 'csv' ? first.map(inColumn) : first)
      return undefined
    }
    if ('fault' in raw) return refuse([raw.fault])
    const { data: ask, error } = CreateJail.safeParse(raw.value)
    if (error) return refuse(error.issues.slice(0, mostFaults + 1).flatMap((issue) => faultsOf(issue, raw.value)))
    const other = lineOf.get(ask.name)
    const where = form === 'json' ? 'row' : 'line'
    if (other !== undefined) return refuse([twice('name', ask.name, where, other)])
    lineOf.set(ask.name, line)
    const wrong = [...unknownTo(offers, ask), ...takenAddresses(ask, line, where)]
    return wrong.length > 0 ? refuse(wrong) : { line, row, ask }
  }

  /** Of two rows with the same address, or a row with an address twice, the later one would wait for it for ever. */
  function takenAddresses({ addresses = [] }: CreateJail, line: number, where: 'line' | 'row') {
    return addresses.flatMap((asked, i) => {
      const address = canonicalAddress(asked)
      const other = lineOfAddress.get(address)
      if (other !== undefined) return [twice(`addresses.${i}`, address, where, other)]
      lineOfAddress.set(address, line)
      return []
    })
  }
}

/** Returns the first faults of a row, and that there are more. */
function firstOf(faults: FoundFault[]): FoundFault[] {
  return faults.length > mostFaults ? [...faults.slice(0, mostFaults), { field: 'row', message: 'has more faults' }] : faults
}

function twice(field: string, value: string, where: 'line' | 'row', other: number): FoundFault {
  return { field, value, message: `${value} stands in ${where} ${other} already`, cause: `stands in an earlier ${where} already` }
}

/** Returns a fault of a field as one of the column that it came from. */
function inColumn({ message, ...fault }: FoundFault): FoundFault {
  const field = columnOf(fault.field)
  return { ...fault, field, message: misread(field, message) ?? message }
}

function faultsOf(issue: z.core.$ZodIssue, row: unknown): FoundFault[] {
  const field = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys')
    return issue.keys.slice(0, mostFaults + 1).map((key) => ({ field: [...issue.path, key].join('.'), message: 'is not known' }))
  if (/ received undefined$/.test(issue.message)) return [{ field: field || 'row', message: 'is required' }]
  const found = issue.path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)[key], row)
  if (typeof found !== 'string' && typeof found !== 'number') return [{ field: field || 'row', message: issue.message }]
  const value = String(found).slice(0, longestValue)
  if (value.includes('\n')) return [{ field, message: 'has a line break in it: its quote is closed in a later line', value }]
  return [{ field: field || 'row', message: issue.message, value, suggest: () => suggestValue(field, value) }]
}
