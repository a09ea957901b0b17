import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import { ProvostError } from '#shared/errors.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { FleetHost, Recovery as Shown } from '#shared/recovery.ts'
import { askTime } from '#shared/redis/fleet-clock.ts'
import { readFleetId } from '#shared/redis/record-facts.ts'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Store } from '../records/store.ts'
import { type Fleet, nothingTaken, openFleetRecord, readFleetHosts, readUploads } from './fleet-records.ts'
import { makeFleetState } from './fleet-state.ts'
import { makeJudgeAge, renewFleet } from './older-redis.ts'
import { rebuildFromJournals, type Uploaded } from './rebuild-from-journals.ts'
import { rebuildLedgers } from './rebuild-ledgers.ts'

type Deps = Store & {
  hosts: HostRegistry
  /** The hosts that the configuration names. */
  members: string[]
  timing: Pick<Timing, 'look' | 'silence'>
  repeat: Repeat
  log: Logger
}

export type Recovery = Awaited<ReturnType<typeof openRecovery>>

/** What is in no journal. */
const lostText =
  'Operations that had not begun on a host, fills, batches, the logs of operations, which hosts were drained, and the addresses held for forgotten hosts.'

const justLost = 'Redis has just lost its records'
const retryAfterSeconds = 2
const lockMs = 60_000

/**
 * Watches whether Redis has lost everything: then it has no fleet id, or another one than its hosts have. The records are rebuilt
 * from the journals that those hosts upload. Until then nothing is admitted, and no record is shown.
 */
export async function openRecovery(deps: Deps) {
  const { redis, keys, hosts, repeat, members, timing, log } = deps
  const state = makeFleetState(deps)
  /** The hosts at the last look at which the records were complete. */
  let remembered: string[] = []
  let wasRecovering = false
  const age = makeJudgeAge(deps)
  /** Why Redis may be older than the hosts; undefined when it is not. */
  let doubt: string | undefined

  async function look(): Promise<void> {
    await askTime(redis)
    const before = state.fleet()
    const known = { id: before?.id, hosts: remembered }
    let now = await openFleetRecord(deps, known, members)
    const compared = await age.judge(now.id)
    if (compared === 'older') {
      await renewFleet(deps, now.id, remembered)
      now = await openFleetRecord(deps, known, members)
    }
    doubt =
      compared === 'unsure' ? 'Redis is older than it was a moment ago, and hosts are asked what they have done since' : undefined
    if (compared === 'same') await rebuildLedgers(deps)
    const isOther = now.id !== before?.id
    const statuses = isOther || state.isRecovering() ? await readFleetHosts(deps) : undefined
    if (before && isOther && compared !== 'older')
      log.error({ fleet: now.id, lost: lostText }, 'Redis lost everything: the records are rebuilt')
    state.update(now, statuses)
    await takeUploads(now)
    const recovers = state.isRecovering()
    if (!recovers && hosts.all().length > 0) remembered = hosts.all().map(({ id }) => id)
    // A new fleet waits for the hosts that its configuration names, and has lost nothing.
    const hasLost = state.fleet()?.hasLost ?? now.hasLost
    if (wasRecovering && !recovers && hasLost) log.warn({ fleet: now.id, lost: lostText }, 'the records are rebuilt')
    wasRecovering = recovers
  }

  async function takeUploads(fleet: Fleet): Promise<void> {
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
    await readStatuses()
  }

  async function readStatuses(): Promise<void> {
    const statuses = await readFleetHosts(deps)
    // Only now: it may have become another one meanwhile.
    const fleet = state.fleet()
    if (fleet) state.update(fleet, statuses)
  }

  const unavailable = (why: string) =>
    new ProvostError('queue_unavailable', `Nothing is accepted or shown until the records are rebuilt: ${why}.`, {
      retryAfter: retryAfterSeconds,
      hint: '`provost recover` shows how far it is; `provost hosts forget HOST` gives a host up that does not come back.',
    })

  const reasons = () => [...state.reasons(), ...(doubt === undefined ? [] : [doubt])]

  function assertRebuilt(): void {
    const why = reasons()
    if (why.length > 0) throw unavailable(why.join('; '))
  }

  /** Returns the id of the fleet whose records are complete. @throws ProvostError `queue_unavailable` while some are missing. */
  function openFleet(): string {
    assertRebuilt()
    const fleet = state.fleet()
    if (!fleet) throw unavailable('Redis has not answered yet')
    return fleet.id
  }

  /** Asks Redis whether it still has a fleet. */
  const isStill = async (fleet: string | undefined) => (await readFleetId(redis, keys)) === fleet && state.fleet()?.id === fleet

  async function assertStill(fleet: string | undefined): Promise<void> {
    if (!(await isStill(fleet))) throw unavailable(justLost)
  }

  const looking = repeat('look-up-fleet', timing.look, look)
  // A Redis that comes back may have lost everything.
  redis.on('ready', looking.now)
  await looking.now().catch(() => undefined)

  return {
    name: looking.name,
    halt: looking.halt,
    stop: looking.stop,
    lookNow: looking.now,
    /** Asks Redis why nothing is admitted now; empty if it is, and if Redis does not answer. */
    async reasonsNow(): Promise<string[]> {
      const known = reasons()
      const isLost = known.length === 0 && (await isStill(state.fleet()?.id).catch(() => true)) === false
      return isLost ? [justLost] : known
    },
    /** Returns an epoch that Redis, or a host, has had: with a lower one Redis is older than it was. */
    seenEpoch: age.seenEpoch,
    waitsFor: (id: string) => state.waitedFor().includes(id),

    /** @throws ProvostError `queue_unavailable` while records are missing, naming the hosts that it waits for. */
    assertRebuilt,

    openFleet,

    /** Asks Redis, to notice a loss since the last look. @throws ProvostError `queue_unavailable`. */
    assertNotLost: () => assertStill(state.fleet()?.id),

    /**
     * Returns what `read` returns, which gets the id of the fleet.
     * @throws ProvostError `queue_unavailable` if records are missing, also since then: what was not found may have been lost.
     */
    async fromWhole<T>(read: (fleet: string) => T | Promise<T>): Promise<T> {
      const fleet = openFleet()
      try {
        return await read(fleet)
      } finally {
        await assertStill(fleet)
      }
    },

    /** No longer waits for a host. If it comes back later, its jails are orphans. */
    async forget(id: string): Promise<void> {
      const now: FleetHost = { ...(state.statuses().get(id) ?? nothingTaken), state: 'forgotten' }
      await redis.hset(keys.fleetHosts, id, JSON.stringify(now))
      state.updateHost(id, now)
    },

    async show(): Promise<Shown> {
      await readStatuses()
      const isLost = !(await isStill(state.fleet()?.id))
      return showRecovery(deps, state, isLost)
    },
  }
}

async function showRecovery(store: Store, state: ReturnType<typeof makeFleetState>, isLost: boolean): Promise<Shown> {
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
