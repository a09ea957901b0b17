import type { Recovery } from '#shared/recovery.ts'
import type { Store } from '../records/store.ts'
import { nothingTaken, readUploads } from './fleet-records.ts'
import type { FleetState } from './fleet-state.ts'

/** What is in no journal. */
export const lostText =
  'Operations that had not begun on a host, fills, batches, the logs of operations, which hosts were drained, and the addresses held for forgotten hosts.'

/** Returns how far a recovery is. `isLost`: Redis has lost its records since the last look. */
export async function showRecovery(store: Store, state: FleetState, isLost: boolean): Promise<Recovery> {
  const { id: fleet = '', hasLost = false } = state.fleet() ?? {}
  const waited = state.waitedFor()
  const ids = [...new Set([...state.statuses().keys(), ...waited])].sort()
  const uploads = await readUploads(store, fleet, ids)
  return {
    fleet,
    state: isLost || state.isRecovering() ? 'recovering' : 'normal',
    hosts: ids.map((id) => {
      const status = state.statuses().get(id)
      const { jails, operations, conflicts } = status ?? nothingTaken
      const upload = uploads.get(id)
      if (status && status.state !== 'awaited') return { id, state: status.state, jails, operations, conflicts }
      if (!waited.includes(id)) return { id, state: 'taken', jails, operations, conflicts }
      if (!upload) return { id, state: 'waiting', jails, operations, conflicts }
      return { id, state: 'uploading', jails: upload.jails, operations: upload.operations, conflicts }
    }),
    lost: hasLost ? lostText : null,
  }
}
