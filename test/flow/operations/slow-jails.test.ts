import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { standardTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const timing = { ...standardTiming, overdue: 300 }

describe('a jail that its client delays', () => {
  test('keeps no slot that others need, neither at its start nor at its stop, and has its own end', async ({ redis }) => {
    const fleet = await startFleet(redis, { timing })
    try {
      const [starts, stops] = [makeGate(), makeGate()]
      const isSlow = ({ name }: { name: string }) => name.startsWith('slow')
      fleet.host().before('startCommand', (jail) => (isSlow(jail) ? starts.wait() : undefined))
      const slow = []
      for (const name of ['slow1', 'slow2', 'slow3', 'slow4']) slow.push(await fleet.ask(name))
      const quick = await fleet.ask('web1', { client: 'other' })
      expect((await fleet.ended(quick)).status).toBe('succeeded')
      starts.open()
      for (const asked of slow) expect((await fleet.ended(asked)).status).toBe('succeeded')

      fleet.host().before('removeJail', (jail) => (isSlow(jail) ? stops.wait() : undefined))
      const stopped = []
      for (const name of ['slow1', 'slow2', 'slow3', 'slow4']) stopped.push(await fleet.call('POST', `/v1/jails/${name}/stop`))
      expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))).status).toBe('succeeded')
      stops.open()
      for (const asked of stopped) expect((await fleet.ended(asked)).status).toBe('succeeded')
      // Each began once: the job that came again found the end.
      const begun = fleet.host().deeds.filter((deed) => /^(startCommand|removeJail) slow1$/.test(deed))
      expect(begun).toEqual(['startCommand slow1', 'removeJail slow1'])
    } finally {
      await fleet.stop()
    }
  })

  test('is still cancelled, and what it did is undone', async ({ redis }) => {
    const fleet = await startFleet(redis, { timing })
    try {
      fleet.host().before('startCommand', (_jail, signal) => sleep(60_000, undefined, { signal }))
      const asked = await fleet.ask('slow1')
      await fleet.host().begins('startCommand slow1')
      await sleep(2 * timing.overdue)
      await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
      expect((await fleet.ended(asked)).status).toBe('cancelled')
      expect((await fleet.call('GET', '/v1/jails/slow1')).status).toBe(404)
    } finally {
      await fleet.stop()
    }
  })
})

describe('a revival', () => {
  test('says at once what does not run, goes round a jail that hangs, and ends for a destroy of it', async ({ redis }) => {
    const fleet = await startFleet(redis, { timing })
    try {
      const names = ['slow1', 'slow2', 'web1']
      for (const name of names) await fleet.ended(await fleet.ask(name))
      await fleet.stopHost()
      fleet.host().reboot()
      fleet
        .host()
        .before('ensureJail', (jail, signal) => (jail.name.startsWith('slow') ? sleep(60_000, undefined, { signal }) : undefined))
      const starting = fleet.startHost('host1')
      await until('the others to be told', async () => (await fleet.jail('slow1'))?.state === 'stopped')
      await starting
      await until('a jail behind them to run', async () => (await fleet.jail('web1'))?.state === 'running')
      const destroy = await fleet.call('DELETE', '/v1/jails/slow1')
      expect((await fleet.ended(destroy)).status).toBe('succeeded')
    } finally {
      await fleet.stop()
    }
  })
})
