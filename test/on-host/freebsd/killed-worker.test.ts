import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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

const timeout = 240_000 * patience
const succeeded = { status: 'succeeded' }

describe.skipIf(whyNot)('a worker that is killed on FreeBSD', () => {
  test('while a jail starts goes on with it after its return, and lets those that run be', { timeout }, async ({ redis }) => {
    const place = mkdtempSync(join(tmpdir(), 'provost-slow-'))
    const rc = '#!/bin/sh\nwhile ! [ -e /data/go ]; do sleep 1; done\n'
    const worlds = [{ name: 'slow', method: 'tree', path: fillRescueTree(place, { 'etc/rc': rc }), prefill: true }]
    const fleet = await startFreebsdFleet(redis, { storage: 'zfs', mode: 'vnet', worlds })
    try {
      const before = fleet.snapshot()
      const [runs, starts] = ['r', 's'].map((letter) => `${letter}${fleet.tag}`) as [string, string]
      expect(await fleet.ended(fleet.ask(runs))).toMatchObject(succeeded)
      const { jid } = (await fleet.jail(runs)) ?? {}
      const asked = await fleet.ask(starts, { world: 'slow' })
      await until('its /etc/rc to run', () => output('ps', '-o', 'command=', '-J', starts).includes('rc'), 60_000)
      await fleet.end('worker', 'SIGKILL')

      fleet.start('worker')
      // It was begun anew, and what the killed one had started is gone.
      await until(
        'its /etc/rc to run once more',
        () => {
          writeFileSync(join(fleet.layout.jail(starts).root, 'data/go'), '')
          return true
        },
        60_000,
      )
      expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded', attempt: 1 })
      expect(await fleet.faultsOf(starts)).toEqual([])
      expect(await fleet.jail(runs)).toMatchObject({ state: 'running', jid })

      await fleet.end('worker', 'SIGKILL')
      must('jail', '-R', runs)
      fleet.start('worker')
      const revived = await until(
        'it to be up again',
        async () => {
          const jail = await fleet.jail(runs)
          return !!jail?.jid && jail.jid !== jid && jail
        },
        60_000,
      )
      expect(revived).toMatchObject({ state: 'running' })
      for (const name of [runs, starts]) expect(await fleet.ended(fleet.destroy(name))).toMatchObject(succeeded)
      expect(fleet.snapshot()).toEqual(before)
    } finally {
      await fleet.stop()
      rmSync(place, { recursive: true, force: true })
    }
  })
})
