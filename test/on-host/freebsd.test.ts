import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { stringify } from 'yaml'
import { makeClient } from '../support/fleets/client.ts'
import { freePort } from '../support/free-port.ts'
import { whyNoHostTests } from '../support/hosts/host-fitness.ts'
import { test } from '../support/redis/redis-test.ts'
import { until } from '../support/until.ts'

const whyNot = process.platform === 'freebsd' ? whyNoHostTests() : 'real FreeBSD jails need FreeBSD.'
if (whyNot) console.warn(`NOT RUN HERE: real jails on FreeBSD: ${whyNot}`)

const apiKey = 'a-key-for-tests-only'
const main = (service: string) => join(import.meta.dirname, '..', '..', service, 'main.ts')
const output = (program: string, ...args: string[]) => spawnSync(program, args, { encoding: 'utf8' }).stdout

/** What jails leave on a FreeBSD host. */
const hostNow = () => ({
  jails: output('jls', '-d', 'name'),
  mounts: output('mount', '-p'),
  addresses: output('ifconfig', '-a', 'inet'),
  rules: output('rctl'),
})

/** A world from the host's static /rescue: enough for a shell. */
function rescueTree(directory: string): string {
  const tree = join(directory, 'tree')
  for (const name of ['bin', 'dev', 'etc', 'tmp', 'var/run', 'var/log', 'root']) mkdirSync(join(tree, name), { recursive: true })
  for (const name of ['sh', 'sleep', 'kill', 'cat']) cpSync(join('/rescue', name), join(tree, 'bin', name))
  writeFileSync(join(tree, 'etc/rc'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  writeFileSync(join(tree, 'etc/rc.shutdown'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  return tree
}

describe.skipIf(whyNot)('jails on a FreeBSD host', () => {
  test('are provisioned, stopped, started and destroyed over HTTP, and leave nothing', { timeout: 300_000 }, async ({
    redis,
  }) => {
    const state = mkdtempSync(join(tmpdir(), 'provost-freebsd-'))
    const port = await freePort()
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
    const env = {
      PATH: process.env['PATH'],
      PROVOST_REDIS_URL: redis.url,
      PROVOST_REDIS_PREFIX: redis.prefix,
      PROVOST_LISTEN: `127.0.0.1:${port}`,
      PROVOST_API_KEY: apiKey,
      PROVOST_CONFIG: config,
    }
    const start = (service: string) => spawn(process.execPath, [main(service)], { env, stdio: 'inherit' })
    const services = [start('producer'), start('worker')]
    const client = makeClient(`http://127.0.0.1:${port}`, apiKey)
    const worldIsReady = async () => (await client.call('GET', '/v1/hosts/bsd1')).body?.worlds?.[0]?.state === 'ready'
    await until('the world to be ready', () => worldIsReady().catch(() => false), 60_000)

    const before = hostNow()
    const ended = async (answer: Promise<Awaited<ReturnType<typeof client.call>>>) => client.ended(await answer, 60_000)
    expect(await ended(client.ask('web1', { world: 'rescue' }))).toMatchObject({ status: 'succeeded' })
    expect((await client.jail('web1'))?.isolation?.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(output('jls', '-j', 'web1', 'host.hostname').trim()).toBe('web1')
    expect(await ended(client.call('POST', '/v1/jails/web1/stop'))).toMatchObject({ status: 'succeeded' })
    expect(await ended(client.call('POST', '/v1/jails/web1/start'))).toMatchObject({ status: 'succeeded' })
    expect(await ended(client.call('DELETE', '/v1/jails/web1'))).toMatchObject({ status: 'succeeded' })
    expect(hostNow()).toEqual(before)

    for (const service of services.toReversed()) {
      service.kill('SIGTERM')
      await once(service, 'exit')
    }
    await rm(state, { recursive: true, force: true })
  })
})
