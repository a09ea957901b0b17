import { existsSync } from 'node:fs'
import { join } from 'node:path'
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
  let isFull = () => true
  const disk = {
    refused: 0,
    /** `until`: there is room again. */
    refuse(code: string | undefined, until = () => false): void {
      fault = code
      isFull = () => !until()
    },
    async write(...[file, text]: Parameters<typeof journalFiles.write>): Promise<void> {
      if (fault === undefined || !isFull()) return journalFiles.write(file, text)
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

  test('waits for room by name, its host takes no other jail, and both are over once there is some', async ({ fleet, disk }) => {
    disk.refuse('ENOSPC')
    const asked = await fleet.ask('web1')
    const reason = 'room on the disk of host host1, which is full'
    await until('it to say so', async () => (await fleet.operation(asked.body.operation.id)).waiting?.reason === reason)
    const host = async () => (await fleet.call('GET', '/v1/hosts/host1')).body
    await until('its host to say so', async () => (await host()).reason === 'its disk is full')
    expect(await host()).toMatchObject({ state: 'up', disk: { isFull: true, isRefusing: true, free: expect.any(Number) } })
    expect((await fleet.ask('web2')).body).toMatchObject({ code: 'no_capacity', detail: expect.stringContaining('full disk') })
    expect((await fleet.call('GET', '/metrics')).text).toMatch(/^provost_host_disk_full\{host="host1"\} 1$/m)
    disk.refuse(undefined)
    expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded' })
    await until('its host to have room', async () => (await host()).reason === undefined)
    expect((await fleet.ended(await fleet.ask('web2'))).status).toBe('succeeded')
  })

  test('goes on where it makes room, with what is kept for that', async ({ fleet, disk }) => {
    const spare = join(fleet.host().root, 'host/journal/spare')
    await fleet.ended(await fleet.ask('web1'))
    await until('room to be kept', () => existsSync(spare))
    disk.refuse('ENOSPC', () => !existsSync(spare))
    const waiting = await fleet.call('POST', '/v1/jails/web1/restart')
    await until('a restart to wait', () => disk.refused > 3)
    await fleet.call('POST', `/v1/operations/${waiting.body.operation.id}/cancel`)
    disk.refuse(undefined)
    await fleet.ended(waiting)
    disk.refuse('ENOSPC', () => !existsSync(spare))
    expect(await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).toMatchObject({ status: 'succeeded' })
    expect(fleet.host().state()).toEqual(nothing)
    await until('room to be kept again', () => existsSync(spare))
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

describe('an operation on a host that gets no more processes for a moment', () => {
  const noProcess = () => {
    throw Object.assign(new Error('spawn ip EAGAIN'), { code: 'EAGAIN' })
  }

  test('is tried again, and succeeds', async ({ fleet }) => {
    let failures = 2
    fleet.host().before('ensureNetwork', () => (failures-- > 0 ? noProcess() : undefined))
    const { status, steps } = await fleet.ended(await fleet.ask('web1'))
    expect([status, steps.find(({ name }) => name === 'attach-network')?.attempt]).toEqual(['succeeded', 3])
  })

  test('is undone whole', async ({ fleet }) => {
    let failures = 2
    fleet.host().before('proveIsolation', () => {
      throw new Error('It is not isolated.')
    })
    fleet.host().before('removeNetwork', () => (failures-- > 0 ? noProcess() : undefined))
    const { status, error } = await fleet.ended(await fleet.ask('web1'))
    expect([status, error?.message]).toEqual(['failed', 'It is not isolated.'])
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
