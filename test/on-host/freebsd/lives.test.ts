import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { whyNoFreebsdJails } from '../../support/hosts/host-fitness.ts'
import { patience } from '../../support/patience.ts'
import { must, output } from '../../support/real-freebsd/ask-host.ts'
import { startFreebsdFleet } from '../../support/real-freebsd/fleet.ts'
import { fillRescueTree } from '../../support/real-freebsd/rescue-tree.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoFreebsdJails()

const timeout = 180_000 * patience
const kinds = (['zfs', 'ufs'] as const).flatMap((storage) => (['shared', 'vnet'] as const).map((mode) => ({ storage, mode })))
const succeeded = { status: 'succeeded' }

describe.skipIf(whyNot)('jails on a FreeBSD host', () => {
  test.for(kinds)(
    'live from a provision to a destroy over HTTP and leave nothing: $storage, $mode',
    { timeout },
    async ({ storage, mode }, { redis }) => {
      const fleet = await startFreebsdFleet(redis, { storage, mode })
      try {
        const before = fleet.snapshot()
        const name = `l${fleet.tag}`
        expect(await fleet.ended(fleet.ask(name, { limits: storage === 'zfs' ? { disk: '100M' } : {} }))).toMatchObject(succeeded)
        expect(await fleet.faultsOf(name)).toEqual([])
        expect(output('jls', '-j', name, 'host.hostname').trim()).toBe(name)
        const { root, boot } = fleet.layout.jail(name)
        expect(existsSync(boot)).toBe(true)

        writeFileSync(join(root, 'data/kept'), '')
        expect(await fleet.ended(fleet.post(name, 'stop'))).toMatchObject(succeeded)
        expect({ runs: output('jls', '-d', '-j', name, 'jid'), boot: existsSync(boot) }).toEqual({ runs: '', boot: false })
        expect(await fleet.ended(fleet.post(name, 'start'))).toMatchObject(succeeded)
        expect(existsSync(join(root, 'data/kept'))).toBe(true)
        expect(await fleet.ended(fleet.post(name, 'restart'))).toMatchObject(succeeded)
        expect(await fleet.faultsOf(name)).toEqual([])

        // As a world has them: not even root removes such a file.
        must('chflags', 'schg', join(root, 'data/kept'))
        expect(await fleet.ended(fleet.destroy(name))).toMatchObject(succeeded)
        expect(fleet.snapshot()).toEqual(before)
      } finally {
        await fleet.stop()
      }
    },
  )

  test('leave nothing where /etc/rc fails or is cancelled, and are noticed when they are stopped by hand', { timeout }, async ({
    redis,
  }) => {
    const place = mkdtempSync(join(tmpdir(), 'provost-slow-'))
    const slow = fillRescueTree(place, { 'etc/rc': '#!/bin/sh\nexec sleep 600\n' })
    const fleet = await startFreebsdFleet(redis, {
      storage: 'zfs',
      mode: 'vnet',
      scripts: { 'etc/rc': '#!/bin/sh\nexit 3\n' },
      worlds: [{ name: 'slow', method: 'tree', path: slow, prefill: true }],
    })
    try {
      const before = fleet.snapshot()
      const [failing, cancelled, byHand] = ['f', 'c', 'h'].map((letter) => `${letter}${fleet.tag}`) as [string, string, string]
      expect(await fleet.ended(fleet.ask(failing))).toMatchObject({ status: 'failed', error: { code: 'command_failed' } })
      const asked = await fleet.ask(cancelled, { world: 'slow' })
      await until('its /etc/rc to run', () => output('ps', '-o', 'command=', '-J', cancelled).includes('sleep 600'), 60_000)
      await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
      expect(await fleet.ended(asked)).toMatchObject({ status: 'cancelled' })
      expect(fleet.snapshot()).toEqual(before)

      expect(await fleet.ended(fleet.ask(byHand, { command: ['/bin/sleep', '600'] }))).toMatchObject(succeeded)
      must('jail', '-R', byHand)
      await until('it to be seen stopped', async () => (await fleet.jail(byHand))?.state === 'stopped', 60_000)
      expect(await fleet.ended(fleet.post(byHand, 'start'))).toMatchObject(succeeded)
      expect(await fleet.ended(fleet.destroy(byHand))).toMatchObject(succeeded)
      expect(fleet.snapshot()).toEqual(before)
    } finally {
      await fleet.stop()
      rmSync(place, { recursive: true, force: true })
    }
  })
})
