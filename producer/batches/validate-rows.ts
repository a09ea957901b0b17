import type { z } from 'zod'
import { largestBatch } from '#shared/batch.ts'
import { CreateJail } from '#shared/jail.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import type { BatchRow } from './batch-row.ts'
import { type Fault, type Faults, tooLarge } from './faults.ts'
import { columnOf } from './read-csv.ts'
import type { RawRow } from './read-rows.ts'

/** A row and its place among the rows, from 1. */
export type NumberedRow = BatchRow & { row: number }

export type BatchForm = 'json' | 'ndjson' | 'csv'

const pageSize = 500

/**
 * The rows that are right by themselves, some at a time. What is wrong with the others goes to `faults`.
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
    const refuse = (found: Omit<Fault, 'line' | 'row'>[]) => {
      faults.add(found.map((fault) => ({ line, row, ...fault })))
      return undefined
    }
    if ('fault' in raw) return refuse([raw.fault])
    const { data: ask, error } = CreateJail.safeParse(raw.value)
    if (error) return refuse(error.issues.flatMap((issue) => faultsOf(issue, form)))
    const other = lineOf.get(ask.name)
    const where = form === 'json' ? 'row' : 'line'
    if (other !== undefined) return refuse([{ field: 'name', message: `${ask.name} stands in ${where} ${other} already` }])
    lineOf.set(ask.name, line)
    const wrong = unknownTo(offers, ask)
    return wrong ? refuse([wrong]) : { line, row, ask }
  }
}

function faultsOf(issue: z.core.$ZodIssue, form: BatchForm): Omit<Fault, 'line' | 'row'>[] {
  const fieldOf = (path: PropertyKey[]) => {
    const field = path.map(String).join('.')
    return (form === 'csv' ? columnOf(field) : field) || 'row'
  }
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ field: fieldOf([...issue.path, key]), message: 'is not known' }))
  const isMissing = / received undefined$/.test(issue.message)
  return [{ field: fieldOf(issue.path), message: isMissing ? 'is required' : issue.message }]
}

type Offers = { worlds: Set<string>; byHost: Map<string, Set<string>> }

/** The worlds that the fleet offers, and those of each host. */
function offersOf(hosts: PlacementHost[]): Offers {
  const byHost = new Map(hosts.map(({ id, worlds }) => [id, new Set(worlds.map(({ name }) => name))]))
  return { worlds: new Set([...byHost.values()].flatMap((worlds) => [...worlds])), byHost }
}

/** What the fleet has not at all; what it only has no room for may wait. */
function unknownTo(offers: Offers, { host, world }: CreateJail): { field: string; message: string } | undefined {
  if (!offers.worlds.has(world)) return { field: 'world', message: `no host of the fleet offers world ${world}` }
  if (host === undefined) return undefined
  const worlds = offers.byHost.get(host)
  if (!worlds) return { field: 'host', message: `no host of the fleet is called ${host}` }
  return worlds.has(world) ? undefined : { field: 'world', message: `host ${host} does not offer world ${world}` }
}
