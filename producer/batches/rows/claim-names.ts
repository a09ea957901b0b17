import { ProvostError } from '#shared/errors.ts'
import { jailOfRow, type NumberedRow, readRowPage } from '../../records/batches/batch-row.ts'
import type { JailRecord } from '../../records/jails/jail-record.ts'
import type { Store } from '../../records/store.ts'
import type { Faults } from '../faults/faults.ts'
import { isLost, matchesRequest } from './match-request.ts'

/** Claims of batches: until its jail is created, nobody else gets a name that a batch has claimed. */

/** A row whose name is available, or whose `jail` already exists as the row asks for it. */
export type NamedRow = NumberedRow & { jail?: JailRecord }

const returnedAtOnce = 1_000

/**
 * Claims the names of rows. Returns the rows whose names the batch can have; adds to `faults` who has those of the others. With
 * `dryRun` nothing is claimed.
 * @throws ProvostError `queue_unavailable` when another batch takes over some of the names at this moment.
 */
export async function claimNames(
  { keys, records, scripts }: Store,
  batch: string,
  rows: NumberedRow[],
  faults: Faults,
  dryRun: boolean,
): Promise<NamedRow[]> {
  const starts = { jails: keys.jail(''), batches: keys.batch(''), marks: keys.batchMark('') }
  const input = { batch, names: rows.map(({ ask }) => ask.name), dryRun, ...starts }
  if (rows.length === 0) return []
  const [type, existing = [], claimed = []] = await scripts.claimNames(
    [keys.claims, keys.batchMark(batch)],
    JSON.stringify(input),
  )
  if (type === 'lost') throw lostToAnother()
  if (existing.length === 0 && claimed.length === 0) return rows
  const jails = new Map((await records.jails(existing)).map((jail) => [jail.name, jail]))
  const claimers = new Map(claimed)
  return rows.flatMap((row) => {
    const { line, row: number, ask } = row
    const jail = jails.get(ask.name)
    const claimer = claimers.get(ask.name)
    if (!jail && claimer === undefined) return [row]
    if (jail && matchesRequest(jail, ask)) return [{ ...row, jail }]
    const said = (name: string, of: string) =>
      jail ? `jail ${name} exists and is ${isLost(jail) ? jail.state : 'not as asked'}` : `batch ${claimer} has claimed ${of}`
    const { name } = ask
    faults.add(line, number, [
      { field: 'name', value: name, message: said(name, name), cause: said('of this name', 'this name') },
    ])
    return []
  })
}

/** Releases claims of a batch on names that it no longer needs. */
export async function returnNames({ keys, scripts }: Store, batch: string, names: string[]): Promise<void> {
  for (let from = 0; from < names.length; from += returnedAtOnce)
    await scripts.returnNames([keys.claims], batch, ...names.slice(from, from + returnedAtOnce))
}

/** Releases all claims that a batch still has. */
export async function returnAllNames(store: Store, { id, rows }: { id: string; rows: number }): Promise<void> {
  for (let from = 0; from < rows; from += returnedAtOnce) {
    const page = await readRowPage(store, id, from, returnedAtOnce)
    const names = page.map((row) => jailOfRow(row).name)
    await returnNames(store, id, names)
  }
}

/** Returns the 503 for the loser of two files with a name in common that were sent at the same moment. */
export function lostToAnother(): ProvostError {
  return new ProvostError('queue_unavailable', 'Another batch with some of the same names is being accepted.', { retryAfter: 2 })
}
