import { z } from 'zod'
import type { BatchRecord } from '../../records/batches/batch-record.ts'
import { type BatchRow, jailOfRow, readRowPage } from '../../records/batches/batch-row.ts'
import type { JailRecord } from '../../records/jails/jail-record.ts'
import { addressesOf } from '../../records/jails/leases.ts'
import type { OperationRecord } from '../../records/operations/operation-record.ts'
import type { Store } from '../../records/store.ts'
import { isLost } from './match-request.ts'

/** The outcome of one row; `expired` if its records are gone. `seconds`: from the acceptance of its operation to its end. */
export const ReportedRow = z.object({
  line: z.int(),
  name: z.string(),
  client: z.string(),
  world: z.string(),
  state: z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired']),
  host: z.string(),
  addresses: z.string(),
  attempts: z.int(),
  seconds: z.number().nullable(),
  code: z.string(),
  error: z.string(),
  operation: z.string(),
})
type ReportedRow = z.infer<typeof ReportedRow>

export const reportColumns = Object.keys(ReportedRow.shape)

const pageSize = 500

/** Yields the rows of a batch in their order, page by page, each as it is now. */
export async function* reportRows(store: Store, batch: BatchRecord): AsyncGenerator<ReportedRow[]> {
  const { redis, keys, records } = store
  const { id, rows: count, status } = batch
  for (let from = 0; from < count; from += pageSize) {
    const rows = await readRowPage(store, id, from, pageSize)
    const numbers = rows.map((_, i) => String(from + i))
    const [outcomes, refusals] = await Promise.all([
      redis.hmget(keys.batchOutcomes(id), ...numbers),
      redis.hmget(keys.batchRefused(id), ...numbers),
    ])
    const ids = outcomes.filter((outcome) => outcome !== null && outcome !== 'done') as string[]
    const operations = new Map((await records.operations(ids)).map((operation) => [operation.id, operation]))
    const jails = new Map((await records.jails(rows.map((row) => jailOfRow(row).name))).map((jail) => [jail.name, jail]))
    yield rows.map((row, i) => {
      const outcome = outcomes[i] ?? null
      const operation = outcome === null ? undefined : operations.get(outcome)
      const jail = jails.get(jailOfRow(row).name)
      const isOurs = outcome === 'done' || (outcome !== null && jail?.provision === outcome)
      return reportOf(row, {
        outcome,
        refusal: refusals[i] ?? null,
        operation,
        jail: isOurs ? jail : undefined,
        isCancelled: status === 'cancelled',
      })
    })
  }
}

type RowRecords = {
  outcome: string | null
  refusal: string | null
  operation: OperationRecord | undefined
  jail: JailRecord | undefined
  isCancelled: boolean
}

function reportOf(row: BatchRow, { outcome, refusal, operation, jail, isCancelled }: RowRecords): ReportedRow {
  const { name, client, world } = jailOfRow(row)
  const common = {
    line: row.line,
    name,
    client,
    world,
    host: jail?.host ?? operation?.host ?? '',
    addresses: jail ? addressesOf(jail).join(' ') : '',
    attempts: operation?.attempt ?? 0,
    seconds: null,
    code: '',
    error: '',
    operation: operation?.id ?? '',
  }
  if (operation) {
    const { status, error, createdAt, finishedAt } = operation
    const seconds = finishedAt ? (Date.parse(finishedAt) - Date.parse(createdAt)) / 1000 : null
    return { ...common, state: status, seconds, code: error?.code ?? '', error: error?.message ?? '' }
  }
  if (outcome === 'done') return { ...common, state: 'succeeded' }
  if (outcome !== null) return { ...common, state: jail && !isLost(jail) ? 'succeeded' : 'expired', operation: outcome }
  if (refusal !== null) {
    const { code, message } = JSON.parse(refusal) as { code: string; message: string }
    return { ...common, state: 'failed', code, error: message }
  }
  return { ...common, state: isCancelled ? 'cancelled' : 'queued' }
}
