import { test as base } from '../redis/redis-test.ts'
import { type Fleet, startFleet } from './fleet.ts'

/** `test` with a fleet of one simulated host. */
export const test = base.extend<{ fleet: Fleet }>({
  fleet: async ({ redis }, use) => {
    const fleet = await startFleet(redis)
    await use(fleet)
    await fleet.stop()
  },
})
