import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { layoutOf } from '../../../worker/host/linux/layout.ts'
import { startRealFleet } from '../../support/fleets/real-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

type Fleet = Awaited<ReturnType<typeof startRealFleet>>

const driftOf = async ({ call }: Fleet): Promise<object[]> => (await call('GET', '/v1/hosts/real1')).body?.drifts ?? []
const logOf = async ({ call }: Fleet, name: string) => (await call('GET', `/v1/jails/${name}/log`)).text

describe.skipIf(whyNoLinuxJails())('the command of a jail', () => {
  test('is drift when it fails, with its exit code and its output, until it is started anew', async ({ redis }) => {
    const fleet = await startRealFleet(redis, { timeScale: 0.2 })
    const before = fleet.snapshot()
    const script = 'echo "no $(pwd) configuration" >&2; [ -e /mended ] && exec sleep 1000; exit 78'
    await fleet.ended(await fleet.ask('web1', { world: 'busybox', command: ['/bin/sh', '-c', script] }))
    const jail = await until('the fleet to know', async () => {
      const seen = await fleet.jail('web1')
      return seen?.command?.state === 'exited' && seen
    })
    expect(jail).toMatchObject({
      state: 'running',
      command: { argv: ['/bin/sh', '-c', script], exitCode: 78, endedAt: expect.stringMatching(/Z$/) },
    })
    const drift = await until('a note of it', async () => (await driftOf(fleet))[0])
    expect(drift).toMatchObject({ found: 'command-died', jail: 'web1', reason: 'Its command ended with exit code 78.' })
    expect(await logOf(fleet, 'web1')).toBe('no / configuration\n')

    writeFileSync(join(layoutOf(fleet.root).jail('web1').root, 'mended'), '')
    await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))
    expect(await fleet.jail('web1')).toMatchObject({ command: { state: 'running', startedAt: expect.stringMatching(/Z$/) } })
    await until('the note to go', async () => (await driftOf(fleet)).length === 0)

    await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))
    expect(await fleet.jail('web1')).toMatchObject({ state: 'stopped', command: { state: 'exited' } })
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    expect(fleet.snapshot()).toEqual(before)
    await fleet.stop()
  })

  test('is heard while it runs, over the end of a worker, until its jail is gone', async ({ redis }) => {
    const fleet = await startRealFleet(redis, { timeScale: 0.2 })
    const talk = 'i=0; while sleep 0.1; do i=$((i+1)); echo line $i; done'
    await fleet.ended(await fleet.ask('web1', { world: 'busybox', command: ['/bin/sh', '-c', talk] }))
    const heard = follow(await fleet.send('/v1/jails/web1/log?follow=true'))
    await until('a line', () => heard.text().includes('line 1\n'))
    await fleet.end('worker', 'SIGKILL')
    const last = heard.text()
    fleet.start('worker')
    await fleet.hostIs('real1', 'up')
    await until('more lines', () => heard.text().length > last.length + 100)
    const lines = heard.text().trimEnd().split('\n')
    expect(lines).toEqual(lines.map((_, i) => `line ${i + 1}`))
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    await until('its end', () => heard.hasEnded())
    await fleet.stop()
  })
})

function follow(response: Response) {
  let [text, hasEnded] = ['', false]
  void (async () => {
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += piece
    hasEnded = true
  })()
  return { text: () => text, hasEnded: () => hasEnded }
}
