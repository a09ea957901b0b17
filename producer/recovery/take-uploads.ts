import { v7 as uuid } from 'uuid'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Store } from '../records/store.ts'
import { type Fleet, readFleetHosts, readUploads } from './fleet-records.ts'
import type { FleetState } from './fleet-state.ts'
import { rebuildFromJournals, type Uploaded } from './rebuild-from-journals.ts'

type Deps = Parameters<typeof rebuildFromJournals>[0] & Store & { hosts: HostRegistry; state: FleetState }

const lockMs = 60_000

/** Rebuilds the records from the journals that hosts of another fleet have uploaded, once all of them are whole. */
export async function takeUploads(deps: Deps, fleet: Fleet): Promise<void> {
  const { redis, keys, hosts, state } = deps
  const uploading = hosts.all().filter(({ id, state: hostState }) => hostState !== 'down' && state.isOfOtherFleet(id))
  if (uploading.length === 0) return
  if (!fleet.hasLost) {
    await redis.hset(keys.fleet, 'lost', '1')
    state.update({ ...fleet, hasLost: true })
  }
  const ids = uploading.map(({ id }) => id)
  const uploads = await readUploads(deps, fleet.id, ids)
  const complete = uploading.flatMap((host): Uploaded[] => {
    const upload = uploads.get(host.id)
    const status = state.statuses().get(host.id)
    if (!upload?.isComplete || status?.upload === upload.id) return []
    return [{ host, upload, isForgotten: status?.state === 'forgotten' }]
  })
  // Waits for all of them, so that of two jails with one name or address the later one gets its record.
  if (complete.length === 0 || ids.some((id) => !uploads.get(id)?.isComplete) || state.mayLiveUnseen()) return
  if ((await redis.set(keys.fleetLock, uuid(), 'PX', lockMs, 'NX')) === null) return
  await rebuildFromJournals(deps, complete).finally(() => redis.del(keys.fleetLock))
  await hosts.refresh()
  await readStatuses(deps)
}

/** Reads again how far each host is. */
export async function readStatuses(deps: Store & { state: FleetState }): Promise<void> {
  const { state } = deps
  const statuses = await readFleetHosts(deps)
  // Only now: it may have become another one meanwhile.
  const fleet = state.fleet()
  if (fleet) state.update(fleet, statuses)
}
