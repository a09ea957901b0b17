import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { readWorkerConfig } from '../../../worker/config/config.ts'
import { makeRuntime } from '../../../worker/host/make-runtime.ts'
import { commandRunner, findProgram } from '../../../worker/host/programs/run-command.ts'
import { startWorker } from '../../../worker/start/start-worker.ts'
import { type Client, makeClient } from '../../support/fleets/client.ts'
import { log, startTestProducer, testIdentity } from '../../support/fleets/test-producer.ts'
import { type SimulatedFreebsd, simulatedFreebsd } from '../../support/freebsd/simulated-freebsd.ts'
import { whyNoHostTests } from '../../support/hosts/host-fitness.ts'
import { test as base } from '../../support/redis/redis-test.ts'

type FreebsdFleet = Client & { freebsd: SimulatedFreebsd; directory: string }

/** A producer and a worker whose configuration says freebsd and names a directory of doubles: nothing else is different. */
const test = base.extend<{ fleet: FreebsdFleet }>({
  fleet: async ({ redis, skip }, use) => {
    skip(process.platform !== 'linux' || whyNoHostTests() !== undefined, 'needs root on Linux')
    const directory = mkdtempSync(join(tmpdir(), 'provost-freebsd-'))
    const [bin, etc, source] = ['bin', 'etc', 'source'].map((name) => join(directory, name)) as [string, string, string]
    for (const path of [bin, etc, join(directory, 'tank')]) mkdirSync(path)
    makeSource(source)
    const freebsd = simulatedFreebsd(directory)
    const server = await freebsd.serve(bin)
    const file = join(directory, 'worker.yaml')
    writeFileSync(file, JSON.stringify(yaml({ bin, etc, source })))
    const config = readWorkerConfig({ PROVOST_REDIS_URL: redis.url, PROVOST_REDIS_PREFIX: redis.prefix }, file)
    const producer = await startTestProducer(redis)
    const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
    const worker = await startWorker(config, { host: makeRuntime({ run, config }), run, log, identity: testIdentity('trial') })
    const client = makeClient(producer.url)
    await client.hostIs('trial', 'up')
    await use({ ...client, freebsd, directory })
    await worker.stop()
    await producer.stop()
    server.close()
    rmSync(directory, { recursive: true, force: true })
  },
})

function yaml({ bin, etc, source }: Record<'bin' | 'etc' | 'source', string>): object {
  return {
    host: 'trial',
    runtime: 'freebsd',
    root: 'tank/provost',
    commandPath: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`,
    etcDir: etc,
    network: { mode: 'shared', interface: 'em0', pools: [{ name: 'four', cidr: '10.0.0.0/24' }] },
    capacity: { jails: 10, memory: '8G', cpu: 2, disk: '8G' },
    defaults: { memory: '64M', cpu: 0.5, processes: 50 },
    worlds: [{ name: 'tiny', method: 'tree', path: source, prefill: true }],
  }
}

/** A world with an /etc/rc that a busybox can run. */
function makeSource(source: string): void {
  for (const name of ['bin', 'dev', 'etc', 'root', 'var/db']) mkdirSync(join(source, name), { recursive: true })
  const busybox = readFileSync(findProgram('busybox', '/bin:/usr/bin') ?? '')
  // EI_OSABI of FreeBSD, elf(5), which Linux does not look at: a world of Linux programs is refused.
  busybox.writeUInt8(9, 7)
  writeFileSync(join(source, 'bin/busybox'), busybox, { mode: 0o755 })
  for (const applet of ['sh', 'sleep', 'echo', 'test']) symlinkSync('busybox', join(source, 'bin', applet))
  writeFileSync(join(source, 'etc/rc'), 'echo booting\n')
  writeFileSync(join(source, 'etc/pwd.db'), '')
}

test('a jail lives its life on FreeBSD: provision, stop, start, destroy', async ({ fleet }) => {
  const { kernel } = fleet.freebsd
  const operation = await fleet.ended(await fleet.ask('web1', { limits: { disk: '1G' } }))
  expect(operation).toMatchObject({ status: 'succeeded', percent: 100 })
  const jail = await fleet.jail('web1')
  expect(jail).toMatchObject({ state: 'running', jid: 1, addresses: ['10.0.0.1/24'] })
  expect(jail?.isolation?.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(kernel.datasets.get('tank/provost/roots/web1')).toMatchObject({ quota: `${2 ** 30}` })
  expect(readFileSync(join(fleet.directory, 'tank/provost/jails/web1/console.log'), 'utf8')).toBe('booting\n')

  expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))).toMatchObject({ status: 'succeeded' })
  expect(kernel.jails.size).toBe(0)
  expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/start'))).toMatchObject({ status: 'succeeded' })
  expect((await fleet.jail('web1'))?.jid).toBe(2)
  expect(await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).toMatchObject({ status: 'succeeded' })
  expect([...kernel.datasets.keys()].filter((name) => name.includes('web1'))).toEqual([])
  expect(kernel.rules).toEqual([])
  expect(kernel.mounts.filter(({ fsType, point }) => fsType === 'devfs' && point !== '/dev')).toEqual([])
  expect(existsSync(join(fleet.directory, 'tank/provost/jails/web1'))).toBe(false)
})

test('a jail that cannot start on FreeBSD says which command failed, and leaves nothing', async ({ fleet }) => {
  const { kernel, fail, heal } = fleet.freebsd
  fail('ifconfig', /^em0 .* alias$/, { stderr: 'ifconfig: ioctl (SIOCAIFADDR): No buffer space available\n' })
  const operation = await fleet.ended(await fleet.ask('web1'))
  expect(operation).toMatchObject({
    status: 'failed',
    error: {
      code: 'command_failed',
      step: 'start-jail',
      command: expect.stringMatching(/^jail -c -f .*\/jails\/web1\/jail.conf web1$/),
      exitCode: 1,
      logTail: expect.stringContaining('jail: web1: /sbin/ifconfig em0 inet 10.0.0.1/24 alias: failed'),
    },
  })
  expect({ jails: kernel.jails.size, rules: kernel.rules, addresses: kernel.links[0]?.addresses }).toEqual({
    jails: 0,
    rules: [],
    addresses: [],
  })
  heal()
  expect(await fleet.ended(await fleet.call('POST', `/v1/operations/${operation.id}/retry`))).toMatchObject({
    status: 'succeeded',
  })
  await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
})
