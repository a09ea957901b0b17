import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { describe, expect } from 'vitest'
import { type RealFleet, startRealFleet } from '../../support/fleets/real-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { removeKeys, test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const busybox = { world: 'busybox', command: ['/bin/sleep', '100000'] }
const isThere = (jid: number | null | undefined) => spawnSync('kill', ['-0', String(jid)]).status === 0

/** Starts the worker on another root, which it refuses. Returns its exit code. */
async function startOn(fleet: RealFleet, root: string): Promise<number | null> {
  const config = await readFile(fleet.file, 'utf8')
  await writeFile(fleet.file, config.replace(/^root: .*$/m, `root: ${root}`))
  const [code] = await once(fleet.start('worker'), 'exit')
  await writeFile(fleet.file, config)
  return code
}

describe.skipIf(whyNoLinuxJails())('a root that is moved while its jails run', () => {
  test('is said to be away, and its jails go on as they are', async ({ redis }) => {
    const fleet = await startRealFleet(redis, { timeScale: 0.2 })
    await fleet.ended(await fleet.ask('web1', busybox))
    const { jid } = (await fleet.jail('web1')) ?? {}
    await rename(fleet.root, `${fleet.root}.moved`)
    await fleet.hostIs('real1', 'incompatible')
    const asked = await fleet.call('POST', '/v1/jails/web1/restart')
    const { id } = asked.body.operation
    await until('it to say so', async () => (await fleet.operation(id)).waiting?.reason.includes('was taken away'))
    expect(await fleet.jail('web1')).not.toMatchObject({ state: 'failed' })
    expect(isThere(jid)).toBe(true)
    await rename(`${fleet.root}.moved`, fleet.root)
    await fleet.hostIs('real1', 'up')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded' })
    await fleet.stop()
  })

  test('is refused at its new place, where they would be started once more', async ({ redis }) => {
    const fleet = await startRealFleet(redis, { timeScale: 0.2 })
    await fleet.ended(await fleet.ask('web1', busybox))
    const { jid } = (await fleet.jail('web1')) ?? {}
    await fleet.end('worker', 'SIGTERM')
    await rename(fleet.root, `${fleet.root}.moved`)
    expect(await startOn(fleet, `${fleet.root}.moved`)).toBe(1)
    expect(await fleet.log('worker')).toContain(`The root ${fleet.root}.moved was ${fleet.root} when its jails were started`)
    expect(isThere(jid)).toBe(true)
    await rename(`${fleet.root}.moved`, fleet.root)
    fleet.start('worker')
    await fleet.hostIs('real1', 'up')
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', jid })
    await fleet.stop()
  })

  test('and is empty, while Redis has lost everything, leaves no address to be given to a second jail', async ({ redis }) => {
    const fleet = await startRealFleet(redis, { timeScale: 0.2 })
    await fleet.ended(await fleet.ask('web1', busybox))
    const { jid, addresses } = (await fleet.jail('web1')) ?? {}
    await fleet.end('worker', 'SIGTERM')
    await rename(fleet.root, `${fleet.root}.moved`)
    await removeKeys(redis.url, redis.prefix)
    fleet.start('worker')
    await fleet.hostIs('real1', 'incompatible')
    const { reason } = (await fleet.call('GET', '/v1/hosts/real1')).body
    expect(reason).toContain(`web1 run here, of which neither the journal in its root ${fleet.root} nor the fleet knows`)
    expect((await fleet.ask('web2', { ...busybox, addresses })).body.code).toBe('no_suitable_host')
    expect(isThere(jid)).toBe(true)

    await fleet.end('worker', 'SIGTERM')
    await rm(fleet.root, { recursive: true })
    await rename(`${fleet.root}.moved`, fleet.root)
    fleet.start('worker')
    await until('its jail to be known again', async () => (await fleet.jail('web1'))?.state === 'running')
    expect(await fleet.jail('web1')).toMatchObject({ jid, addresses })
    await fleet.stop()
  })
})
