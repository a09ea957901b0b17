import type { Logger } from 'pino'
import { hasEnded } from '#shared/operation.ts'
import type { UploadedJail, UploadedOperation } from '#shared/recovery.ts'
import { dropJail } from '../records/jails/jail-changes.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

/** Whether the record of a jail is of an earlier time than what its host has in its journal. */
export function isJailStale(known: JailRecord, host: string, { spec, epoch, at }: UploadedJail): boolean {
  if (epoch !== known.epoch) return epoch > known.epoch
  return known.host === host && known.provision === spec.provision && Date.parse(at) > Date.parse(known.updatedAt)
}

/** The same of an operation. */
export function isOperationStale(known: OperationRecord, { epoch, status }: Pick<OperationRecord, 'epoch' | 'status'>): boolean {
  return epoch > known.epoch || (epoch === known.epoch && hasEnded(status) && !hasEnded(known.status))
}

/** Whether nothing of its jail was left by an operation. */
function leftNothing({ kind, status }: UploadedOperation): boolean {
  return (kind === 'destroy' && status === 'succeeded') || (kind === 'provision' && status === 'cancelled')
}

const pageSize = 200

/**
 * Drops the records of jails that a host says are gone by a later operation than the records know of. A jail that the host has
 * never heard of stays: it may be about to be made.
 */
export async function dropGone(
  { records, scripts, keys, log }: Store & { log: Logger },
  host: string,
  jails: Iterable<UploadedJail>,
  operations: AsyncIterable<UploadedOperation[]>,
): Promise<void> {
  const goneAt = new Map<string, number>()
  for await (const page of operations)
    for (const operation of page)
      if (leftNothing(operation)) goneAt.set(operation.jail, Math.max(operation.epoch, goneAt.get(operation.jail) ?? 0))
  for (const { spec } of jails) goneAt.delete(spec.name)

  const names = [...goneAt.keys()]
  for (let from = 0; from < names.length; from += pageSize)
    for (const known of await records.jails(names.slice(from, from + pageSize))) {
      if (known.host !== host || known.epoch > (goneAt.get(known.name) ?? 0)) continue
      const committed = await scripts.commit(dropJail(known, keys))
      if (committed.type === 'done')
        log.warn({ host, jail: known.name }, 'dropped the record of a jail that its host has destroyed')
    }
}
