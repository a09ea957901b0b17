import { describe, expect } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { journalFiles } from '../../../worker/journal/file.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { test as withRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

/** The disk of a host: it takes no more writes of the journal from `refuse` on. `refused`: how many it has not taken. */
const test = withRedis.extend<{ disk: Disk; fleet: Fleet }>({
  disk: ({ task: _ }, use) => use(makeDisk()),
  fleet: async ({ redis, disk }, use) => {
    const fleet = await startFleet(redis, { timing: scaledTiming(0.05), files: { ...journalFiles, write: disk.write } })
    await use(fleet)
    await fleet.stop()
  },
})

type Disk = ReturnType<typeof makeDisk>

function makeDisk() {
  let fault: string | undefined
  const disk = {
    refused: 0,
    refuse(code: string | undefined): void {
      fault = code
    },
    async write(...[file, text]: Parameters<typeof journalFiles.write>): Promise<void> {
      if (fault === undefined) return journalFiles.write(file, text)
      disk.refused += 1
      throw Object.assign(new Error(`${fault}: write`), { code: fault })
    },
  }
  return disk
}

const nothing = { roots: [], networks: [], jails: [] }

describe('an operation on a host whose disk is full', () => {
  test('that has done all it had to do succeeds once there is room to note it', async ({ fleet, disk }) => {
    fleet.host().before('proveIsolation', () => disk.refuse('ENOSPC'))
    const asked = await fleet.ask('web1')
    await until('it to be tried again', async () => disk.refused > 5)
    disk.refuse(undefined)
    expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded', attempt: 1 })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
  })

  test('that cannot note its next step is undone, and fails for that once there is room', async ({ fleet, disk }) => {
    fleet.host().before('startCommand', () => disk.refuse('ENOSPC'))
    const asked = await fleet.ask('web1')
    await until('it to be tried again', async () => disk.refused > 8)
    disk.refuse(undefined)
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'disk_full', step: 'run-command' } })
    expect(fleet.host().state()).toEqual(nothing)
  })

  test('is not gone on with where its undoing could not be noted', async ({ fleet, disk }) => {
    fleet.host().before('startCommand', () => disk.refuse('ENOSPC'))
    const asked = await fleet.ask('web1')
    await until('its undoing to begin', async () => fleet.host().deeds.includes('endCommand web1') && disk.refused > 2)
    disk.refuse(undefined)
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'disk_full' } })
    expect(fleet.host().state()).toEqual(nothing)
  })
})

describe('an operation that was given up because its host fails to note anything', () => {
  test('is undone there', async ({ fleet, disk }) => {
    fleet.host().before('ensureJail', () => disk.refuse('EIO'))
    const asked = await fleet.ask('web1')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'unreadable_job' } })
    disk.refuse(undefined)
    await until('nothing of it to be left', async () => fleet.host().state().roots.length === 0)
    expect(fleet.host().state()).toEqual(nothing)
  })

  test('leaves its jail as its record says', async ({ fleet, disk }) => {
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().before('ensureJail', () => disk.refuse('EIO'))
    const asked = await fleet.call('POST', '/v1/jails/web1/restart')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'unreadable_job' } })
    disk.refuse(undefined)
    await until('it to be stopped', async () => (await fleet.jail('web1'))?.state === 'stopped')
    expect(fleet.host().state()).toEqual({ roots: ['web1'], networks: [], jails: [] })
  })
})
