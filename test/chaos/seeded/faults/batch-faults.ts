import { hasBatchEnded } from '#shared/batch.ts'
import { hasEnded } from '#shared/operation.ts'
import { readBatch } from '../../../../producer/records/batches/batch-record.ts'
import type { OperationRecord } from '../../../../producer/records/operations/operation-record.ts'
import type { Scene } from '../play.ts'

/** Batches that have not ended, whose counts are not what became of their rows, that made a jail twice, that keep names. */
export async function batchFaults({ fleet: { redis, keys }, ledger }: Scene, operations: OperationRecord[]): Promise<string[]> {
  const claims = await redis.hgetall(keys.claims)
  const faults = await Promise.all(ledger.batches().map(faultsOf))
  return [
    ...faults.flat(),
    ...Object.entries(claims).map(([name, batch]) => `the name ${name} is still claimed for batch ${batch}`),
  ]

  async function faultsOf(id: string): Promise<string[]> {
    const batch = await readBatch({ redis, keys }, id)
    if (!batch) return [`batch ${id} was accepted and is lost`]
    const outcomes = Object.values(await redis.hgetall(keys.batchOutcomes(id)))
    const made = operations.filter((operation) => operation.batch === id)
    const said = {
      succeeded: batch.succeeded,
      failed: batch.failed,
      cancelled: batch.cancelled,
      open: batch.queued + batch.running,
    }
    const refused = await redis.hlen(keys.batchRefused(id))
    const ended = (status: string) => made.filter((operation) => operation.status === status).length
    const open = made.filter(({ status }) => !hasEnded(status)).length
    const succeeded = ended('succeeded') + outcomes.filter((outcome) => outcome === 'done').length
    const failed = ended('failed') + refused
    const really = { succeeded, failed, cancelled: batch.rows - succeeded - failed - open, open }
    const jails = made.map(({ jail }) => jail)
    return [
      ...(hasBatchEnded(batch.status) ? [] : [`batch ${id} is ${batch.status} for ever`]),
      ...(JSON.stringify(said) === JSON.stringify(really)
        ? []
        : [`batch ${id} counts ${JSON.stringify(said)} and has ${JSON.stringify(really)}`]),
      ...(new Set(jails).size === jails.length ? [] : [`batch ${id} made a jail twice: ${jails.join()}`]),
    ]
  }
}
