import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { startRealFleet } from '../../support/fleets/real-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoLinuxJails()
const busybox = { world: 'busybox' }

describe.skipIf(whyNot)('jails asked for over HTTP', () => {
  test('run, are proven isolated, and leave nothing once they are all destroyed', async ({ redis }) => {
    const fleet = await startRealFleet(redis, {
      worker: {
        network: {
          mode: 'vnet',
          bridge: `pvt${redis.prefix.slice(-7, -1)}`,
          pools: [
            { name: 'four', cidr: '10.214.7.0/24', gateway: '10.214.7.1' },
            { name: 'six', cidr: 'fd7a:214:7::/64', gateway: 'fd7a:214:7::1' },
          ],
        },
      },
    })
    const before = fleet.snapshot()
    const asked = await Promise.all([
      fleet.ask('web1', busybox),
      fleet.ask('web2', { ...busybox, hostname: 'www.example.com', limits: { memory: '32M', processes: 10, cpu: 0.5 } }),
      fleet.ask('web3', { ...busybox, command: ['/bin/sh'] }),
      fleet.ask('web4', { ...busybox, command: ['/bin/sleep', '1000'] }),
      fleet.ask('web5', { ...busybox, addresses: ['10.214.7.99'] }),
    ])
    for (const answer of asked) {
      const operation = await fleet.ended(answer)
      expect(operation, JSON.stringify(operation.error)).toMatchObject({ status: 'succeeded', percent: 100 })
      const jail = await fleet.jail(operation.jail ?? '')
      expect(jail?.isolation?.checks.filter(({ ok }) => !ok)).toEqual([])
      expect(jail?.isolation?.checks.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['hostname', 'addresses', 'processes', 'root', 'devices', 'privileges']),
      )
    }
    expect((await fleet.jail('web5'))?.addresses).toEqual(['10.214.7.99/24'])
    expect((await fleet.jail('web4'))?.addresses).toHaveLength(2)
    expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))).status).toBe('succeeded')
    expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web4/restart'))).status).toBe('succeeded')

    const log = (await fleet.call('GET', `/v1/operations/${asked[0]?.body.operation.id}/log`)).text
    expect(log).toMatch(/== \S+ start-jail: Starting the jail\n\$ runc .*\n(.*\n)*-> exit 0, \d+ ms/)

    for (const name of ['web1', 'web2', 'web3', 'web4', 'web5'])
      expect((await fleet.ended(await fleet.call('DELETE', `/v1/jails/${name}`))).status).toBe('succeeded')
    expect(fleet.snapshot()).toEqual(before)
    await fleet.stop()
  })

  test('fail with what went wrong, and leave nothing', async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    const before = fleet.snapshot()
    const runc = await fleet.gate('runc', '/bin/false', '*" run "*')
    await runc.open()
    const failed = await fleet.ended(await fleet.ask('web1', busybox))
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'command_failed', step: 'start-jail', exitCode: 1 } })
    expect(failed.error?.command).toContain('runc --root')
    expect(fleet.snapshot()).toEqual(before)
    await rm(join(fleet.state, 'bin/runc'))
    const retried = await fleet.call('POST', `/v1/operations/${failed.id}/retry`)
    // The program is looked for once, so the false one is still what the worker knows.
    await fleet.ended(retried)
    await fleet.end('worker', 'SIGTERM')
    fleet.start('worker')
    await fleet.hostIs('real1', 'up')
    const again = await fleet.call('POST', `/v1/operations/${failed.id}/retry`)
    expect(await fleet.ended(again)).toMatchObject({ status: 'succeeded', attempt: 3 })
    await fleet.stop()
  })
})

describe.skipIf(whyNot)('a host whose disk is full', () => {
  test('takes no jails and says why, and destroys go on', async ({ redis }) => {
    const small = await mkdtemp(join(tmpdir(), 'provost-small-'))
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=120m', 'tmpfs', small])
    const fleet = await startRealFleet(redis, { root: join(small, 'host'), timeScale: 0.2 })
    await fleet.ended(await fleet.ask('web1', busybox))
    await until('room to be kept', () => existsSync(join(fleet.root, 'journal/spare')))
    for (const size of ['1M', '4k']) spawnSync('dd', ['if=/dev/zero', `of=${join(small, size)}`, `bs=${size}`])
    const reason = async () => (await fleet.call('GET', '/v1/hosts/real1')).body.reason
    await until('its host to say so', async () => (await reason()) === 'its disk is full')
    expect((await fleet.ask('web2', busybox)).body).toMatchObject({ status: 409, code: 'no_capacity' })
    expect((await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).status).toBe('succeeded')
    for (const size of ['1M', '4k']) await rm(join(small, size))
    await until('its host to have room', async () => (await reason()) === undefined)
    expect((await fleet.ended(await fleet.ask('web2', busybox))).status).toBe('succeeded')
    await fleet.stop()
    spawnSync('umount', [small])
    await rm(small, { recursive: true })
  })

  test('says so, and keeps nothing of the world it could not fill', async ({ redis }) => {
    const small = await mkdtemp(join(tmpdir(), 'provost-small-'))
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', small])
    const big = await mkdtemp(join(tmpdir(), 'provost-big-'))
    spawnSync('mkdir', [join(big, 'etc')])
    spawnSync('dd', ['if=/dev/zero', `of=${join(big, 'etc', 'ballast')}`, 'bs=1M', 'count=20'])
    const fleet = await startRealFleet(redis, {
      root: join(small, 'host'),
      worlds: [{ name: 'big', method: 'tree', path: big }],
    })
    const failed = await fleet.ended(await fleet.ask('web1', { world: 'big' }))
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'disk_full', step: 'fill-world' } })
    expect(failed.error?.hint).toContain('Free space')
    expect((await readdir(join(fleet.root, 'worlds'))).filter((name) => name.includes('big'))).toEqual([])
    const reason = async () => (await fleet.call('GET', '/v1/hosts/real1')).body.reason
    await until('its host to have room', async () => (await reason()) === undefined)
    expect((await fleet.ended(await fleet.ask('web2', busybox))).status).toBe('succeeded')
    await fleet.stop()
    spawnSync('umount', [small])
    await rm(small, { recursive: true })
    await rm(big, { recursive: true })
  })
})
