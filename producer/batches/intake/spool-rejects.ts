import { randomUUID } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { stringify } from 'csv-stringify/sync'
import type { Hosts } from '../../placement/place-jail.ts'
import type { Store } from '../../records/store.ts'
import type { FoundFault } from '../faults/fault-causes.ts'
import { makeFaults } from '../faults/faults.ts'
import { faultColumn } from '../files/csv-header.ts'
import type { RawRow } from '../files/read-rows.ts'
import { claimNames } from '../rows/claim-names.ts'
import { type BatchForm, validateRows } from './validate-rows.ts'

/** Excel takes a file without it for one in the encoding of its user's region. */
const byteOrderMark = '\uFEFF'

type Asked = { form: BatchForm; rows: AsyncIterable<RawRow> }

/**
 * Returns the rows that a batch would leave out, as text: as they were read, with what is wrong with each. Undefined if there are
 * none. They are on the disk until they are sent, as a client reads an answer only once it has sent all of a file.
 * @throws ProvostError as `acceptBatch` for a file that cannot be read at all.
 */
export async function spoolRejects(deps: Store & Hosts, asked: Asked): Promise<Readable | undefined> {
  const path = join(tmpdir(), `provost-rejects-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  let rows = 0
  try {
    // Without a name it is gone with the last who has it open, however that ends.
    await rm(path)
    for await (const text of rejectsOf(deps, asked)) {
      await file.write(text)
      rows += 1
    }
  } catch (error) {
    await file.close()
    throw error
  }
  if (rows > 0) return file.createReadStream({ start: 0 })
  await file.close()
  return undefined
}

/** Yields the faulty rows in their order. */
async function* rejectsOf(deps: Store & Hosts, { form, rows }: Asked): AsyncGenerator<string> {
  const read: RawRow[] = []
  const faulty = new Map<number, FoundFault[]>()
  let before = 0
  let isFirst = true
  async function* remembered() {
    for await (const row of rows) {
      read.push(row)
      yield row
    }
  }
  const faults = makeFaults((row, found) => faulty.set(row, found))
  for await (const page of validateRows(remembered(), form, deps.hosts.all(), faults)) {
    await claimNames(deps, '', page, faults, true)
    for (const [i, row] of read.entries()) {
      const found = faulty.get(before + i + 1)
      if (!found) continue
      yield textOf(row, found, isFirst)
      isFirst = false
    }
    before += read.length
    read.length = 0
    faulty.clear()
  }
}

function textOf({ line, source }: RawRow, found: FoundFault[], isFirst: boolean): string {
  const what = found.map(({ field, message, suggest }) => [`${field} ${message}`, suggest?.()].filter(Boolean).join(', like '))
  const fault = `line ${line}: ${what.join('; ')}`
  if (typeof source === 'string') return `${withFault(source, fault)}\n`
  const { delimiter, titles, columns } = source.table
  // Comes first, where a row with too many cells has it, too.
  const kept = <T>(cells: T[]) => cells.filter((_, i) => i >= columns.length || columns[i] !== undefined)
  const lines = [...(isFirst ? [[faultColumn, ...kept(titles)]] : []), [fault, ...kept(source.cells)]]
  return (isFirst ? byteOrderMark : '') + stringify(lines, { delimiter })
}

/** A line that is not JSON, or no object, has no place for its fault. */
function withFault(text: string, fault: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return JSON.stringify({ ...value, [faultColumn]: fault })
  } catch {}
  return text
}
