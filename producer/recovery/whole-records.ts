import { ProvostError } from '#shared/errors.ts'
import { readFleetId } from '#shared/redis/record-facts.ts'
import type { Store } from '../records/store.ts'
import type { FleetState } from './fleet-state.ts'

/** `doubt`: why Redis may be older than the hosts; undefined when it is not. */
type Deps = Pick<Store, 'redis' | 'keys'> & { state: FleetState; doubt(): string | undefined }

const justLost = 'Redis has just lost its records'
const retryAfterSeconds = 2

/** Returns what requests ask before they read or write records, which may be missing or have gone a moment ago. */
export function makeWholeRecords({ redis, keys, state, doubt }: Deps) {
  const unavailable = (why: string) =>
    new ProvostError('queue_unavailable', `Nothing is accepted or shown until the records are rebuilt: ${why}.`, {
      retryAfter: retryAfterSeconds,
      hint: '`provost recover` shows how far it is; `provost hosts forget HOST` gives a host up that does not come back.',
    })

  function reasons(): string[] {
    const why = doubt()
    return why === undefined ? state.reasons() : [...state.reasons(), why]
  }

  function assertRebuilt(): void {
    const why = reasons()
    if (why.length > 0) throw unavailable(why.join('; '))
  }

  function openFleet(): string {
    assertRebuilt()
    const fleet = state.fleet()
    if (!fleet) throw unavailable('Redis has not answered yet')
    return fleet.id
  }

  const isStill = async (fleet: string | undefined) => (await readFleetId(redis, keys)) === fleet && state.fleet()?.id === fleet

  async function assertStill(fleet: string | undefined): Promise<void> {
    if (!(await isStill(fleet))) throw unavailable(justLost)
  }

  return {
    /** @throws ProvostError `queue_unavailable` while records are missing, naming the hosts that it waits for. */
    assertRebuilt,

    /** Returns the id of the fleet whose records are complete. @throws ProvostError `queue_unavailable` while some are missing. */
    openFleet,

    /** Asks Redis whether it has lost its records since the last look. */
    isLost: async (): Promise<boolean> => !(await isStill(state.fleet()?.id)),

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

    /** Asks Redis why nothing is admitted now; empty if it is, and if Redis does not answer. */
    async reasonsNow(): Promise<string[]> {
      const known = reasons()
      const isLost = known.length === 0 && (await isStill(state.fleet()?.id).catch(() => true)) === false
      return isLost ? [justLost] : known
    },
  }
}
