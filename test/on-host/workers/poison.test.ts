import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { Operation } from '#shared/operation.ts'
import type { Answer } from '../../support/fleets/client.ts'
import { type RealFleet, startRealFleet } from '../../support/fleets/real-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe.skipIf(whyNoLinuxJails())('an operation', () => {
  test('that has killed its worker three times fails and leaves nothing, and a retry starts anew', async ({ redis }) => {
    const fleet = await startRealFleet(redis, { timeScale: 0.1 })
    const before = fleet.snapshot()
    const runc = join(fleet.bin, 'runc')
    const deadly = '#!/bin/sh\ncase " $* " in *" run "*) kill -KILL $PPID; exit 1 ;; esac\nexec /usr/sbin/runc "$@"\n'
    await writeFile(runc, deadly, { mode: 0o755 })
    const worker = fleet.child('worker')
    if (!worker) throw new Error('no worker')
    const killed = once(worker, 'exit')
    const asked = await fleet.ask('web1', { world: 'busybox' })
    expect((await killed)[1]).toBe('SIGKILL')
    for (let kills = 2; kills <= 3; kills += 1) {
      const [, signal] = await once(fleet.start('worker'), 'exit')
      expect(signal).toBe('SIGKILL')
    }

    fleet.start('worker')
    const operation = await fleet.ended(asked)
    expect(operation).toMatchObject({
      status: 'failed',
      attempt: 1,
      error: { code: 'poisoned', step: 'start-jail', message: expect.stringContaining('It has ended its worker three times') },
    })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'failed', jid: null })
    expect(fleet.snapshot()).toEqual(before)

    await rm(runc)
    const retried = await fleet.call('POST', `/v1/operations/${operation.id}/retry`)
    expect(await fleet.ended(retried)).toMatchObject({ status: 'succeeded', attempt: 2 })
    await fleet.stop()
  })

  test('that was at work beside it each time does not share its verdict', async ({ redis }) => {
    const fleet = await startRealFleet(redis, { timeScale: 0.1 })
    const beside = join(fleet.bin, 'beside')
    // The deadly one waits for the other to be at work, for a while: at its last try it is not.
    const deadly = `#!/bin/sh
case " $* " in
*" run "*bad1*)
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e ${beside} ] && break; sleep 0.1; done
  kill -KILL $PPID; exit 1 ;;
*" run "*good1*) : > ${beside}; sleep 1; rm ${beside} ;;
esac
exec /usr/sbin/runc "$@"
`
    await writeFile(join(fleet.bin, 'runc'), deadly, { mode: 0o755 })
    const asked = [await fleet.ask('bad1', { world: 'busybox' }), await fleet.ask('good1', { world: 'busybox' })]
    const [bad, good] = await endsOf(fleet, asked)
    expect(bad).toMatchObject({ status: 'failed', error: { code: 'poisoned' } })
    expect(good).toMatchObject({ status: 'succeeded' })
    await fleet.stop()
  })

  test('that waits for a fill which has killed its worker three times fails, and a retry starts anew', async ({ redis }) => {
    const tree = await mkdtemp(join(tmpdir(), 'provost-deadly-'))
    await mkdir(join(tree, 'etc'))
    const fleet = await startRealFleet(redis, {
      timeScale: 0.1,
      worlds: [{ name: 'deadly', method: 'tree', path: tree, prefill: false }],
    })
    await writeFile(join(fleet.bin, 'cp'), '#!/bin/sh\nkill -KILL $PPID; exit 1\n', { mode: 0o755 })
    const asked = [await fleet.ask('web1', { world: 'deadly' }), await fleet.call('POST', '/v1/hosts/real1/worlds/deadly/fill')]
    const operations = await endsOf(fleet, asked)
    for (const operation of operations)
      expect(operation).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'poisoned', step: 'fill-world' } })

    await rm(join(fleet.bin, 'cp'))
    const retried = await fleet.call('POST', `/v1/operations/${operations[0]?.id}/retry`)
    expect((await fleet.ended(retried)).error?.code).not.toBe('poisoned')
    await fleet.stop()
    await rm(tree, { recursive: true })
  })
})

/** How operations end that kill the worker, which is started again each time. */
function endsOf(fleet: RealFleet, asked: Answer[]): Promise<Operation[]> {
  const look = async () => {
    fleet.start('worker')
    const operations = await Promise.all(asked.map(({ body }) => fleet.operation(body.operation.id)))
    return operations.every(({ finishedAt }) => finishedAt !== null) && operations
  }
  return until('all to have ended', look, 60_000)
}
