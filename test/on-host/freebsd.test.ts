import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { stringify } from 'yaml'
import type { Answer } from '../support/fleets/client.ts'
import { processFleet, service } from '../support/fleets/process-fleet.ts'
import { whyNoHostTests } from '../support/hosts/host-fitness.ts'
import { test } from '../support/redis/redis-test.ts'
import { until } from '../support/until.ts'

const whyNot = process.platform === 'freebsd' ? whyNoHostTests() : 'real FreeBSD jails need FreeBSD.'
if (whyNot) console.warn(`NOT RUN HERE: real jails on FreeBSD: ${whyNot}`)

const output = (program: string, ...args: string[]) => spawnSync(program, args, { encoding: 'utf8' }).stdout

/** What jails leave on a FreeBSD host. */
const hostNow = () => ({
  jails: output('jls', '-d', 'name'),
  mounts: output('mount', '-p'),
  addresses: output('ifconfig', '-a', 'inet'),
  rules: output('rctl'),
})

/** A world from the host's static /rescue: enough for a shell, and for jail(8), which looks up root in its password database. */
function rescueTree(directory: string): string {
  const tree = join(directory, 'tree')
  for (const name of ['bin', 'dev', 'etc', 'tmp', 'var/run', 'var/log', 'root']) mkdirSync(join(tree, name), { recursive: true })
  for (const name of ['sh', 'sleep', 'kill', 'cat']) cpSync(join('/rescue', name), join(tree, 'bin', name))
  for (const name of ['pwd.db', 'spwd.db']) cpSync(join('/etc', name), join(tree, 'etc', name))
  writeFileSync(join(tree, 'etc/rc'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  writeFileSync(join(tree, 'etc/rc.shutdown'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  return tree
}

describe.skipIf(whyNot)('jails on a FreeBSD host', () => {
  test('are provisioned, stopped, started and destroyed over HTTP, and leave nothing', { timeout: 300_000 }, async ({
    redis,
  }) => {
    const fleet = await processFleet(redis)
    const { state } = fleet
    const config = join(state, 'worker.yaml')
    writeFileSync(
      config,
      stringify({
        host: 'bsd1',
        root: join(state, 'host'),
        network: { mode: 'shared', interface: 'lo0', pools: [{ name: 'test', cidr: '127.77.0.0/24' }] },
        capacity: { jails: 10, memory: '4G', cpu: 4 },
        defaults: { memory: '128M', cpu: 0.5, processes: 50 },
        worlds: [{ name: 'rescue', method: 'tree', path: rescueTree(state), prefill: true }],
      }),
    )
    fleet.define('worker', service('worker', { ...fleet.env, PROVOST_CONFIG: config }))
    fleet.startAll()
    await fleet.hostIs('bsd1', 'up', 60_000)

    const before = hostNow()
    const ended = async (answer: Promise<Answer>) => fleet.ended(await answer, 60_000)
    expect(await ended(fleet.ask('web1', { world: 'rescue' }))).toMatchObject({ status: 'succeeded' })
    expect((await fleet.jail('web1'))?.isolation?.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(output('jls', '-j', 'web1', 'host.hostname').trim()).toBe('web1')
    expect(await ended(fleet.call('POST', '/v1/jails/web1/stop'))).toMatchObject({ status: 'succeeded' })
    expect(await ended(fleet.call('POST', '/v1/jails/web1/start'))).toMatchObject({ status: 'succeeded' })
    expect(await ended(fleet.call('DELETE', '/v1/jails/web1'))).toMatchObject({ status: 'succeeded' })

    // It doubles what it has, and has 128M: the kernel looks once a second.
    const command = ['/bin/sh', '-c', 'x=0123456789abcdef; while :; do x=$x$x; done']
    expect(await ended(fleet.ask('hog1', { world: 'rescue', command }))).toMatchObject({ status: 'succeeded' })
    await until('the end of hog1', async () => (await fleet.jail('hog1'))?.command?.signal === 'SIGKILL', 60_000)
    expect(await ended(fleet.call('DELETE', '/v1/jails/hog1'))).toMatchObject({ status: 'succeeded' })
    expect(hostNow()).toEqual(before)

    for (const name of ['worker', 'producer']) await fleet.end(name, 'SIGTERM')
    await fleet.close()
  })
})
