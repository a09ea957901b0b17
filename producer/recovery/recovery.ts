import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import { ProvostError } from '#shared/errors.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { FleetHost, Recovery as Shown } from '#shared/recovery.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Records } from '../records/records.ts'
import type { Scripts } from '../records/scripts.ts'
import { findFleet, nothingTaken, readFleetHosts, readUploads } from './fleet-records.ts'
import { makeTakeIn, type Uploaded } from './rebuild-from-journals.ts'

type Deps = {
  redis: Redis
  keys: RedisKeys
  scripts: Scripts
  records: Records
  hosts: HostRegistry
  /** The hosts that the configuration names. */
  members: string[]
  timing: Pick<Timing, 'look' | 'silence'>
  log: Logger
}

export type Recovery = Awaited<ReturnType<typeof openRecovery>>

/** What no journal has. */
export const lostText =
  'Operations that had not begun on a host, fills, batches, the logs of operations, which hosts were drained, and the addresses held for forgotten hosts.'

const retryAfterSeconds = 2
const lockMs = 60_000

/**
 * Sees whether Redis has lost everything: then it has no fleet id, or hosts know another one than it has. The records are
 * rebuilt from the journals that those hosts upload. Until then nothing is admitted.
 */
export async function openRecovery({ redis, keys, scripts, records, hosts, members, timing, log }: Deps) {
  const store = { redis, keys }
  const takeIn = makeTakeIn({ redis, keys, scripts, records, log })
  let fleet = ''
  let foundedAtMs = 0
  let hasLost = false
  let wereExpected = false
  /** The hosts as they were while the fleet had its records. */
  let remembered: string[] = []
  let statuses = new Map<string, FleetHost>()
  let waited: string[] = []
  let judged: unknown
  let wasRecovering = false

  async function look(): Promise<void> {
    const found = await findFleet(store, { id: fleet, hosts: remembered }, members)
    if (found.id !== fleet || isRecovering()) statuses = await readFleetHosts(store)
    if (fleet && found.id !== fleet)
      log.error({ fleet: found.id, lost: lostText }, 'Redis lost everything: the records are rebuilt')
    ;({ foundedAtMs, hasLost, wereExpected } = found)
    // Last: what is admitted under it may rely on what is known of its hosts.
    fleet = found.id
    judge()
    await takeUploads()
    const recovers = isRecovering()
    if (!recovers && hosts.all().length > 0) remembered = hosts.all().map(({ id }) => id)
    if (wasRecovering && !recovers) log.warn({ fleet, lost: lostText }, 'the records are rebuilt')
    wasRecovering = recovers
  }

  const isMember = (id: string) => members.length === 0 || members.includes(id)

  /** Whether a host knows its jails by another fleet than this one. */
  function isStrange(id: string): boolean {
    const known = hosts.fleetOf(id)
    return known !== undefined && known !== '' && known !== fleet
  }

  function waitsFor(id: string): boolean {
    const status = statuses.get(id)
    if ((status && status.state !== 'awaited') || !isMember(id)) return false
    return hosts.fleetOf(id) === undefined ? status !== undefined : isStrange(id)
  }

  function judge(): void {
    judged = hosts.all()
    waited = [...new Set([...statuses.keys(), ...hosts.all().map(({ id }) => id)])].filter(waitsFor).sort()
  }

  function waitedFor(): string[] {
    // Between two looks another host may have come.
    if (judged !== hosts.all()) judge()
    return waited
  }

  /** Nobody knows which other hosts there were: those that live have said so after one silence. */
  const mayHaveMore = () => hasLost && !wereExpected && Date.now() - foundedAtMs < timing.silence

  /** Whether a host that has not reported since the loss may yet do so within one silence, as those that live do. */
  function mayLiveUnseen(): boolean {
    const isUnseen = waitedFor().some((id) => hosts.fleetOf(id) === undefined)
    return (isUnseen && Date.now() - foundedAtMs < timing.silence) || mayHaveMore()
  }

  function isRecovering(): boolean {
    return waitedFor().length > 0 || mayHaveMore()
  }

  async function takeUploads(): Promise<void> {
    const strange = hosts.all().filter(({ id, state }) => state !== 'down' && isMember(id) && isStrange(id))
    if (strange.length === 0) return
    if (!hasLost) {
      await redis.hset(keys.fleet, 'lost', '1')
      hasLost = true
    }
    const uploads = await readUploads(
      store,
      fleet,
      strange.map(({ id }) => id),
    )
    const complete = strange.flatMap((host): Uploaded[] => {
      const upload = uploads.get(host.id)
      const status = statuses.get(host.id)
      if (!upload?.isComplete || status?.upload === upload.id) return []
      return [{ host, upload, isForgotten: status?.state === 'forgotten' }]
    })
    // All that are there, so that of two jails with one name or address the later one is taken.
    if (complete.length === 0 || strange.some(({ id }) => !uploads.get(id)?.isComplete) || mayLiveUnseen()) return
    if ((await redis.set(keys.fleetLock, uuid(), 'PX', lockMs, 'NX')) === null) return
    await takeIn(complete).finally(() => redis.del(keys.fleetLock))
    await hosts.refresh()
    statuses = await readFleetHosts(store)
    judge()
  }

  function reasons(): string[] {
    const waits = waitedFor().map((id) =>
      hosts.fleetOf(id) === undefined
        ? `host ${id} has not reported since Redis lost its records`
        : `the journal of host ${id} is being taken in`,
    )
    return waits.length === 0 && mayHaveMore() ? ['Redis lost its records, and more hosts may report'] : waits
  }

  const unavailable = (why: string) =>
    new ProvostError('queue_unavailable', `Nothing is accepted until the records are rebuilt: ${why}.`, {
      retryAfter: retryAfterSeconds,
      hint: '`provost recover` shows how far it is; `provost hosts forget HOST` lets go of a host that does not come back.',
    })

  let looking: Promise<void> | undefined
  const lookNow = (): Promise<void> => {
    looking ??= look().finally(() => {
      looking = undefined
    })
    return looking
  }
  const tryLook = () => lookNow().catch((error) => log.warn({ err: error.message }, 'the fleet could not be looked up'))
  // One that comes back may have nothing left.
  redis.on('ready', tryLook)
  await tryLook()
  const timer = setInterval(tryLook, timing.look)

  return {
    /** The id of the fleet that may admit now; empty, which no fleet is called, while records are missing. */
    openFleet: () => (isRecovering() ? '' : fleet),
    lookNow,
    /** Why nothing is admitted now; none: it is. */
    reasons,
    waitsFor: (id: string) => waitedFor().includes(id),

    /** @throws ProvostError `queue_unavailable` while records are missing, naming the hosts that are waited for. */
    assertRebuilt(): void {
      const why = reasons()
      if (why.length > 0) throw unavailable(why.join('; '))
    },

    /** Also of a loss that was not noticed yet. @throws ProvostError `queue_unavailable`. */
    async assertNotLost(): Promise<void> {
      if ((await redis.hget(keys.fleet, 'revision')) !== fleet) throw unavailable('Redis has just lost them')
    },

    /** A host that is not waited for any more; should it come later, its jails are its orphans. */
    async forget(id: string): Promise<void> {
      const before = statuses.get(id) ?? nothingTaken
      const now: FleetHost = { ...before, state: 'forgotten' }
      await redis.hset(keys.fleetHosts, id, JSON.stringify(now))
      statuses.set(id, now)
      judge()
    },

    async show(): Promise<Shown> {
      statuses = await readFleetHosts(store)
      judge()
      const ids = [...new Set([...statuses.keys(), ...waited])].sort()
      const uploads = await readUploads(store, fleet, ids)
      return {
        fleet,
        state: isRecovering() ? 'recovering' : 'normal',
        hosts: ids.map((id) => {
          const { state = 'awaited', jails, operations, conflicts } = statuses.get(id) ?? { state: undefined, ...nothingTaken }
          const upload = uploads.get(id)
          const shown = state !== 'awaited' ? state : !waited.includes(id) ? 'taken' : upload ? 'uploading' : 'waiting'
          const counts =
            shown === 'uploading' && upload ? { jails: upload.jails, operations: upload.operations } : { jails, operations }
          return { id, state: shown, ...counts, conflicts }
        }),
        lost: hasLost ? lostText : null,
      }
    },
    close: () => clearInterval(timer),
  }
}
