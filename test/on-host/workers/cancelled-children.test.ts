import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished } from 'vitest'
import { startRealFleet } from '../../support/fleets/real-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { pids, readProc } from '../../support/proc.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

/** Programs of a step; each makes a file beside itself, `$ready`, once it is as it says. */
const stubborn: Record<string, string> = {
  'ignores the first signal': `trap '' TERM; : > $ready; while :; do sleep 1; done`,
  'has forked a child that ignores the first signal and keeps its outputs': `
    (trap '' TERM; : > $ready; while :; do sleep 1; done) &
    wait`,
  'has forked a daemon out of its session': `
    export ready
    setsid sh -c '(trap "" TERM; : > $ready; while :; do sleep 1; done) &' &
    wait
    while :; do sleep 1; done`,
}

describe.skipIf(whyNoLinuxJails())('a cancel', () => {
  test('leaves nothing of a fill that nobody waits for any more, nor of the daemons that it started', async ({ redis }) => {
    const tree = await mkdtemp(join(tmpdir(), 'provost-tree-'))
    onTestFinished(() => rm(tree, { recursive: true }))
    await mkdir(join(tree, 'etc'))
    const fleet = await startRealFleet(redis, { timeScale: 0.1, worlds: [{ name: 'other', method: 'tree', path: tree }] })
    const ready = join(fleet.bin, 'cp.ready')
    const program = `#!/bin/sh\nready=${ready}\n${stubborn['has forked a daemon out of its session']}\n`
    await writeFile(join(fleet.bin, 'cp'), program, { mode: 0o755 })
    const asked = await fleet.ask('web1', { world: 'other' })
    await until('its processes to be there', () => existsSync(ready))
    await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
    expect(await fleet.ended(asked)).toMatchObject({ status: 'cancelled' })
    await until('the processes of the fill to be gone', () => processesOf(fleet.root).length === 0)
    await fleet.stop()
  })

  for (const [what, script] of Object.entries(stubborn))
    test(`leaves nothing of a command that ${what}`, async ({ redis }) => {
      const fleet = await startRealFleet(redis, { timeScale: 0.1 })
      const before = fleet.snapshot()
      const ready = join(fleet.bin, 'runc.ready')
      const program = `#!/bin/sh\nready=${ready}\ncase " $* " in *" run "*) ${script} ;; esac\nexec /usr/sbin/runc "$@"\n`
      await writeFile(join(fleet.bin, 'runc'), program, { mode: 0o755 })
      const asked = await fleet.ask('web1', { world: 'busybox' })
      await until('its processes to be there', () => existsSync(ready))
      expect(processesOf(fleet.root)).not.toEqual([])
      await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
      expect(await fleet.ended(asked, 30_000)).toMatchObject({ status: 'cancelled', error: { step: 'start-jail' } })
      expect(processesOf(fleet.root)).toEqual([])
      expect(fleet.snapshot()).toEqual(before)
      expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
      await fleet.stop()
    })
})

/** The processes that the worker of a host has started for an operation and that are still there. */
function processesOf(root: string): number[] {
  return pids().filter((pid) => {
    const environment = readProc(pid, 'environ').split('\0')
    return environment.includes(`PROVOST_WORKER=${root}`) && environment.some((entry) => entry.startsWith('PROVOST_OPERATION='))
  })
}
