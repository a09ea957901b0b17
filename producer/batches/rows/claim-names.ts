import { ProvostError } from '#shared/errors.ts'
import { BatchRow, type NumberedRow } from '../../records/batches/batch-row.ts'
import type { JailRecord } from '../../records/jails/jail-record.ts'
import type { Store } from '../../records/store.ts'
import type { Faults } from '../faults.ts'
import { isAsAsked, isLost } from './same-spec.ts'

/** The names that batches have claimed: until its jail is made, nobody else gets a name. */

/** A row whose name can be had, and the jail that is there already as the row asks. */
export type NamedRow = NumberedRow & { jail?: JailRecord }

const returnedAtOnce = 1_000

/**
 * Claims the names of rows. Returns the rows whose names can be had; of the others `faults` says who has them. With `dryRun`
 * nothing is claimed.
 * @throws ProvostError `queue_unavailable`, when another batch took some of the names at this moment.
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
    if (jail && isAsAsked(jail, ask)) return [{ ...row, jail }]
    const message = jail
      ? `jail ${ask.name} exists and is ${isLost(jail) ? jail.state : 'not as asked'}`
      : `batch ${claimer} has claimed ${ask.name}`
    faults.add([{ line, row: number, field: 'name', message }])
    return []
  })
}

/** Lets others have names that a batch has claimed and needs no more. */
export async function returnNames({ keys, scripts }: Store, batch: string, names: string[]): Promise<void> {
  for (let from = 0; from < names.length; from += returnedAtOnce)
    await scripts.returnNames([keys.claims], batch, ...names.slice(from, from + returnedAtOnce))
}

/** The same of all rows of a batch that have no jail. */
export async function returnAllNames(store: Store, { id, rows }: { id: string; rows: number }): Promise<void> {
  for (let from = 0; from < rows; from += returnedAtOnce) {
    const page = await store.redis.lrange(store.keys.batchRows(id), from, from + returnedAtOnce - 1)
    const names = page.map((text) => BatchRow.parse(JSON.parse(text)).ask.name)
    await returnNames(store, id, names)
  }
}

/** Two files with a name in common were sent at the same moment; the other one is accepted, or refused for its own faults. */
export function lostToAnother(): ProvostError {
  return new ProvostError('queue_unavailable', 'Another batch with some of the same names is being accepted.', { retryAfter: 2 })
}
