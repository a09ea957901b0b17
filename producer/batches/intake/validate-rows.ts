import type { z } from 'zod'
import { largestBatch, type RowFault } from '#shared/batch.ts'
import { CreateJail } from '#shared/jail.ts'
import { offersOf, unknownTo } from '../../placement/offers.ts'
import type { PlacementHost } from '../../placement/placement-host.ts'
import type { NumberedRow } from '../../records/batches/batch-row.ts'
import { type Faults, tooLarge } from '../faults.ts'
import { columnOf } from '../files/read-csv.ts'
import type { RawRow } from '../files/read-rows.ts'
import { canonicalAddress } from '../rows/match-request.ts'

export type BatchForm = 'json' | 'ndjson' | 'csv'

const pageSize = 500

/**
 * Yields the valid rows, page by page. Adds the faults of the others to `faults`.
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
    if (page.length === pageSize) {
      yield page
      page = []
    }
  }
  if (page.length > 0) yield page

  function validate(raw: RawRow, row: number): NumberedRow | undefined {
    const { line } = raw
    const refuse = (reasons: Omit<RowFault, 'line' | 'row'>[]) => {
      faults.add(reasons.map((reason) => ({ line, row, ...reason })))
      return undefined
    }
    if ('fault' in raw) return refuse([raw.fault])
    const { data: ask, error } = CreateJail.safeParse(raw.value)
    if (error) return refuse(error.issues.flatMap((issue) => faultsOf(issue, form)))
    const other = lineOf.get(ask.name)
    const where = form === 'json' ? 'row' : 'line'
    if (other !== undefined) return refuse([{ field: 'name', message: `${ask.name} stands in ${where} ${other} already` }])
    lineOf.set(ask.name, line)
    const wrong = [...unknownTo(offers, ask), ...takenAddresses(ask, line, where)]
    return wrong.length > 0
      ? refuse(wrong.map(({ field, message }) => ({ field: form === 'csv' ? columnOf(field) : field, message })))
      : { line, row, ask }
  }

  /** Of two rows with the same address, or a row with an address twice, the later one would wait for it for ever. */
  function takenAddresses({ addresses = [] }: CreateJail, line: number, where: string) {
    return addresses.flatMap((asked, i) => {
      const address = canonicalAddress(asked)
      const other = lineOfAddress.get(address)
      if (other !== undefined) return [{ field: `addresses.${i}`, message: `${address} stands in ${where} ${other} already` }]
      lineOfAddress.set(address, line)
      return []
    })
  }
}

function faultsOf(issue: z.core.$ZodIssue, form: BatchForm): Omit<RowFault, 'line' | 'row'>[] {
  const fieldOf = (path: PropertyKey[]) => {
    const field = path.map(String).join('.')
    return (form === 'csv' ? columnOf(field) : field) || 'row'
  }
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ field: fieldOf([...issue.path, key]), message: 'is not known' }))
  const isMissing = / received undefined$/.test(issue.message)
  return [{ field: fieldOf(issue.path), message: isMissing ? 'is required' : issue.message }]
}
