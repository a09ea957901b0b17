import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { startRealFleet } from '../../support/fleets/real-fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const busybox = { world: 'busybox' }

describe.skipIf(whyNoLinuxJails())('a worker that is killed', () => {
  test('while a jail starts goes on with it after its return, and its child was ended', async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    const before = fleet.snapshot()
    const runc = await fleet.gate('runc', '/usr/sbin/runc', '*" run "*')
    const asked = await fleet.ask('web1', busybox)
    await runc.reached()
    await fleet.end('worker', 'SIGKILL')
    expect(waitingAtGate(fleet.state)).toHaveLength(1)

    fleet.start('worker')
    await until('the child of the killed worker to be gone', () => waitingAtGate(fleet.state).length <= 1)
    await runc.open()
    expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded', attempt: 1 })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
    expect((await fleet.jail('web1'))?.isolation?.checks.every(({ ok }) => ok)).toBe(true)
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    expect(fleet.snapshot()).toEqual(before)
    await fleet.stop()
  })

  test('while a world fills leaves no usable half, and fills it anew', async ({ redis }) => {
    const archive = tarOfSomething()
    let asked = 0
    const stalled = makeGate()
    const server = createServer((_request, response) => {
      asked += 1
      response.writeHead(200, { 'content-length': archive.length })
      // The first answer stops in the middle for ever.
      if (asked > 1) response.end(archive)
      else response.write(archive.subarray(0, archive.length / 2), stalled.open)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const sha256 = createHash('sha256').update(archive).digest('hex')
    const fleet = await startRealFleet(redis, {
      worlds: [{ name: 'remote', method: 'archive', url: `http://127.0.0.1:${port}/base.tar`, sha256 }],
    })
    const waiting = await fleet.ask('web1', { world: 'remote' })
    await stalled.wait()
    await fleet.end('worker', 'SIGKILL')
    expect((await readdir(join(fleet.root, 'worlds'))).filter((name) => name.startsWith('remote'))).toEqual([])
    fleet.start('worker')
    const operation = await fleet.ended(waiting)
    expect(operation).toMatchObject({ status: 'succeeded' })
    expect(asked).toBe(2)
    server.closeAllConnections()
    server.close()
    await fleet.stop()
  })

  test('lets its jails run, and finds them again', async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    await fleet.ended(await fleet.ask('web1', { ...busybox, command: ['/bin/sleep', '1000'] }))
    const before = await fleet.jail('web1')
    await fleet.end('worker', 'SIGKILL')
    process.kill(before?.jid ?? 0, 0)
    fleet.start('worker')
    await fleet.hostIs('real1', 'up')
    const proven = await until('its isolation to be proven again', async () => {
      const jail = await fleet.jail('web1')
      return jail?.isolation?.checkedAt !== before?.isolation?.checkedAt && jail
    })
    expect(proven).toMatchObject({ state: 'running', jid: before?.jid })
    expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))).status).toBe('succeeded')
    await fleet.stop()
  })

  test('brings up what is to run after all of it is gone, as after a reboot', async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    await fleet.ended(await fleet.ask('web1', busybox))
    const before = await fleet.jail('web1')
    await fleet.end('worker', 'SIGKILL')
    process.kill(before?.jid ?? 0, 'SIGKILL')
    spawnSync('umount', ['-l', join(fleet.root, 'jails/web1/root')])
    spawnSync('ip', ['link', 'delete', fleet.bridge])
    fleet.start('worker')
    const revived = await until('it to be up again', async () => {
      const jail = await fleet.jail('web1')
      return !!jail?.jid && jail.jid !== before?.jid && jail
    })
    expect(revived).toMatchObject({ state: 'running', addresses: before?.addresses })
    expect(revived.isolation?.checks.filter(({ ok }) => !ok)).toEqual([])
    await fleet.stop()
  })
})

describe.skipIf(whyNoLinuxJails())('a worker', () => {
  test('refuses a host that has one, and names it', async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    const [code] = await once(fleet.startTwin('worker'), 'exit')
    expect(code).not.toBe(0)
    expect(await fleet.log('worker')).toMatch(/Another worker has this host already: pid \d+, started /)
    await fleet.stop()
  })

  test('that is told to stop ends within its step, and leaves its jails running', async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    await fleet.ended(await fleet.ask('web1', busybox))
    const { jid } = (await fleet.jail('web1')) ?? {}
    expect(await fleet.end('worker', 'SIGTERM')).toBe(0)
    process.kill(jid ?? 0, 0)
    expect((await fleet.ask('web2', busybox)).body.code).toBe('no_suitable_host')
    fleet.start('worker')
    await fleet.hostIs('real1', 'up')
    await fleet.stop()
  })
})

/** The commands of this fleet that wait at a gate of the test. */
function waitingAtGate(state: string): string[] {
  const { stdout } = spawnSync('pgrep', ['-f', `^/bin/sh ${state}/bin/runc `], { encoding: 'utf8' })
  return stdout.split('\n').filter(Boolean)
}

function tarOfSomething(): Buffer {
  return spawnSync('tar', ['-C', '/etc', '--transform', 's,^,etc/,', '-cf', '-', 'passwd', 'hostname', 'login.defs', 'services'])
    .stdout
}
