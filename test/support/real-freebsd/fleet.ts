import type { Operation } from '#shared/operation.ts'
import type { Answer } from '../fleets/client.ts'
import { enrolOnDisk } from '../fleets/enrol-on-disk.ts'
import { processFleet, service } from '../fleets/process-fleet.ts'
import type { TestRedis } from '../redis/redis-test.ts'
import { realFreebsd, type Settings } from './freebsd-host.ts'
import { keepHostFiles } from './host-files.ts'

export type FreebsdFleet = Awaited<ReturnType<typeof startFreebsdFleet>>

const withinMs = 60_000

/** A producer and a worker, as processes, and this FreeBSD host with a disk and a network for the test. */
export async function startFreebsdFleet(redis: TestRedis, settings: Settings) {
  const restore = keepHostFiles()
  const fleet = await processFleet(redis)
  const real = realFreebsd({
    ...settings,
    over: { ...settings.over, identity: enrolOnDisk(fleet.state, settings.host ?? 'bsd1') },
  })
  fleet.define('worker', service('worker', { ...fleet.env, PROVOST_CONFIG: real.file }))

  /** Ends all, and takes away what it has of its own. What jails are left is for the test to have looked at. */
  async function stop(): Promise<void> {
    await fleet.killAll()
    real.close()
    restore()
    await fleet.close()
  }

  try {
    fleet.startAll()
    await fleet.hostIs('bsd1', 'up', withinMs)
  } catch (error) {
    console.error(await fleet.log('worker').catch(() => ''))
    await stop()
    throw error
  }
  return {
    ...fleet,
    ...real,
    stop,
    ended: async (answer: Answer | Promise<Answer>): Promise<Operation> => fleet.ended(await answer, withinMs),
    post: (jail: string, verb: string) => fleet.call('POST', `/v1/jails/${jail}/${verb}`),
    destroy: (jail: string) => fleet.call('DELETE', `/v1/jails/${jail}`),
    /** The checks of a jail's last proof that it did not pass. */
    faultsOf: async (jail: string) => (await fleet.jail(jail))?.isolation?.checks.filter(({ ok }) => !ok),
  }
}
