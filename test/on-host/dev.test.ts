import { existsSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { Jail } from '#shared/jail.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { endProcess, isRunning, type ProcessRecord, recordProcess, signal } from '../../cli/dev/processes/process-record.ts'
import { type Dev, spawnDev } from '../../cli/dev/processes/spawn-dev.ts'
import { httpClient } from '../../cli/http/client.ts'
import { whyNoLinuxJails } from '../support/hosts/host-fitness.ts'
import { until } from '../support/until.ts'

const program = fileURLToPath(new URL('../../bin/provost', import.meta.url))

let directory: string
let devs: Dev[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'provost-dev-'))
})
afterEach(async () => {
  for (const dev of devs) {
    if (isRunning(dev.record)) await destroyAll(dev)
    await dev.stop()
  }
  devs = []
  await rm(directory, { recursive: true })
})

async function start(state = 'state', args: string[] = []): Promise<Dev> {
  const dev = await spawnDev(join(directory, state), ['--port', '0', ...args])
  devs = [...devs.filter(({ record }) => isRunning(record)), dev]
  return dev
}

async function create(dev: Dev, name: string, host = 'dev-1'): Promise<Jail> {
  const body = { name, client: 'acme', world: 'busybox', host }
  await httpClient(dev).sendAndWait({ method: 'POST', path: '/v1/jails', body })
  return find(dev, name)
}

async function find(dev: Dev, name: string): Promise<Jail> {
  return Jail.parse((await httpClient(dev).get(`/v1/jails/${name}`)).body)
}

async function destroyAll(dev: Dev): Promise<void> {
  const { items } = (await httpClient(dev).get('/v1/jails')).body as { items: { name: string }[] }
  for (const { name } of items) await httpClient(dev).sendAndWait({ method: 'DELETE', path: `/v1/jails/${name}` })
}

function processOf(dev: Dev, name: string): ProcessRecord {
  const record = dev.state.processes().find((process) => process.name === name)
  if (!record) throw new Error(`${name} is not among the processes of ${dev.state.path}.`)
  return record
}

const bridgeOf = (dev: Dev) => `/sys/class/net/${dev.state.chosen().hosts?.[0]?.bridge}`
const readyz = async (dev: Dev) => (await fetch(`${dev.url}/readyz`)).status

describe.skipIf(whyNoLinuxJails())('provost dev', () => {
  test('prints what it started, and keeps what it accepts', async () => {
    const dev = await start()
    const names = ['redis', 'producer', 'worker dev-1']
    for (const name of names)
      expect(dev.printed).toContainEqual(expect.stringMatching(new RegExp(`^${name} pid ${processOf(dev, name).pid} `)))
    expect(dev.printed.at(-1)).toBe(`ready ${dev.url}`)
    expect(await readyz(dev)).toBe(200)
    expect(parse(readFileSync(dev.state.workerFile('dev-1'), 'utf8'))).toMatchObject({
      host: 'dev-1',
      root: join(dev.state.path, 'hosts/dev-1/root'),
      defaults: { memory: '64M', cpu: 0.1, processes: 100 },
    })

    const file = join(dev.state.path, 'redis.json')
    const { host, port } = JSON.parse(readFileSync(file, 'utf8'))
    expect([host, port, statSync(file).mode & 0o777]).toEqual(['127.0.0.1', dev.state.chosen().redisPort, 0o600])
    const redis = connectRedis(`redis://${host}:${port}`)
    const settings = await Promise.all(['appendonly', 'appendfsync', 'maxmemory-policy'].map((name) => redis.config('GET', name)))
    redis.disconnect()
    expect(settings.flat()).toEqual(['appendonly', 'yes', 'appendfsync', 'always', 'maxmemory-policy', 'noeviction'])
    await dev.stop()
    expect(existsSync(file)).toBe(false)
  })

  test('leaves jails running when it stops, and the next start finds them', async () => {
    const dev = await start()
    const jail = await create(dev, 'web1')
    expect(jail.state).toBe('running')
    await dev.stop()
    expect(existsSync(`/proc/${jail.jid}`)).toBe(true)

    const again = await start()
    expect(await find(again, 'web1')).toMatchObject({ state: 'running', jid: jail.jid, addresses: jail.addresses })
    expect(existsSync(bridgeOf(again))).toBe(true)
    await destroyAll(again)
    expect(existsSync(bridgeOf(again))).toBe(false)
  })

  test('goes on after it was killed, with one process of each', async () => {
    const dev = await start()
    const jail = await create(dev, 'web1')
    const before = dev.state.processes()
    signal(dev.record, 'SIGKILL')
    await until('it to end', () => !isRunning(dev.record), 5_000)
    expect(before.filter(isRunning).map(({ name }) => name)).toEqual(['redis', 'producer', 'worker dev-1'])

    const again = await start()
    expect(before.filter(isRunning)).toEqual([])
    expect(again.key).toBe(dev.key)
    expect(await find(again, 'web1')).toMatchObject({ state: 'running', jid: jail.jid })
  })

  test('does not start a killed worker again, and one started by hand takes its place', async () => {
    const dev = await start()
    const worker = processOf(dev, 'worker dev-1')
    signal(worker, 'SIGKILL')
    const told = `worker dev-1 (pid ${worker.pid}) was ended by SIGKILL; it is not started again.`
    await until('it to say so', () => dev.printed.some((line) => line.startsWith(told)), 5_000)

    const byHand = execa(program, ['worker', '--config', dev.state.workerFile('dev-1')], {
      env: { PROVOST_REDIS_URL: `redis://127.0.0.1:${dev.state.chosen().redisPort}` },
      stdio: 'ignore',
      reject: false,
    })
    if (byHand.pid === undefined) throw new Error('the worker did not start')
    const record = recordProcess('worker', byHand.pid)
    expect((await create(dev, 'web1')).state).toBe('running')
    await destroyAll(dev)
    await dev.stop()
    expect(isRunning(record)).toBe(false)
    await endProcess(record, 0)
  })

  test('stays when all that it started was killed, until it is told to stop', async () => {
    const dev = await start()
    const all = dev.state.processes().filter(({ name }) => name !== 'dev')
    for (const record of all) signal(record, 'SIGKILL')
    const ends = () => dev.printed.filter((line) => line.includes('was ended by SIGKILL'))
    await until('it to say so of all', () => ends().length === all.length, 5_000)
    expect(isRunning(dev.record)).toBe(true)
    signal(dev.record, 'SIGTERM')
    await until('it to end', () => !isRunning(dev.record), 5_000)
    expect(dev.state.processes()).toEqual([])
  })

  test('runs twice at once, each on networks of its own', async () => {
    const [one, two] = [await start('one'), await start('two', ['--hosts', '2'])]
    const jails = await Promise.all([create(one, 'web1'), create(two, 'web1'), create(two, 'web2', 'dev-2')])
    expect(jails.map(({ state }) => state)).toEqual(['running', 'running', 'running'])
    expect(new Set(jails.flatMap(({ addresses }) => addresses.map((address) => address.split('/')[0]))).size).toBe(6)
  })

  test('refuses a second start on the same state', async () => {
    const dev = await start()
    await expect(start()).rejects.toThrow(`runs on ${dev.state.path} already, as process ${dev.record.pid}`)
    expect(await readyz(dev)).toBe(200)
  })

  test('has one start of two at once, and the other touches nothing', async () => {
    const starts = await Promise.allSettled([start(), start()])
    const [dev] = starts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    const [refused] = starts.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []))
    if (!dev) throw new Error('neither started')
    expect(refused).toContain(`runs on ${dev.state.path} already, as process ${dev.record.pid}`)
    expect(dev.state.processes().filter(isRunning)).toHaveLength(4)
    expect(await readyz(dev)).toBe(200)
  })

  test('says why when a process cannot start, and leaves none behind', async () => {
    await writeFile(join(directory, 'over.yaml'), 'capacity: { jails: none }\n')
    await expect(start('state', ['--config', join(directory, 'over.yaml')])).rejects.toThrow(/capacity\.jails/)
    const { default: left } = await import(join(directory, 'state/processes.json'), { with: { type: 'json' } })
    expect(left).toEqual([])
  })
})
