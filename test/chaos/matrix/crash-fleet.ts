import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeClient } from '../../support/fleets/client.ts'
import { serviceProcesses } from '../../support/fleets/processes.ts'
import { freePort } from '../../support/free-port.ts'
import { until } from '../../support/until.ts'
import { crashHost } from './crash-host.ts'
import type { Trial } from './crash-plans.ts'

export type CrashFleet = Awaited<ReturnType<typeof startCrashFleet>>

const apiKey = 'a-key-for-tests-only'

/** A producer that is let alone, and hosts whose workers are killed. */
export async function startCrashFleet(redis: { url: string; prefix: string }, names: string[]) {
  const state = await mkdtemp(join(tmpdir(), 'provost-crash-'))
  const tag = redis.prefix.replace(/[^0-9a-f]/g, '').slice(-6)
  const port = await freePort()
  const env = { PATH: process.env['PATH'], PROVOST_REDIS_URL: redis.url, PROVOST_REDIS_PREFIX: redis.prefix }
  const client = makeClient(`http://127.0.0.1:${port}`, apiKey)
  const processes = serviceProcesses(state)
  const worlds = makeWorlds(state)

  processes.start('producer', {
    service: 'producer',
    env: { ...env, PROVOST_LISTEN: `127.0.0.1:${port}`, PROVOST_API_KEY: apiKey },
  })
  const trials = await Promise.all(
    names.map(async (name, i): Promise<Trial> => {
      const directory = join(state, name)
      const network = `10.${216 + i}.${Number.parseInt(tag.slice(0, 2), 16)}`
      const over = { capacity: { jails: 100, memory: '64G', cpu: 100, disk: '64G' } }
      const host = await crashHost({ env, host: name, directory, bridge: `pvc${tag}${i}`, network, worlds, over })
      await host.start()
      return { client, host, asked: new Map() }
    }),
  )
  await until('all hosts to be up', async () => {
    const { body } = await client.call('GET', '/v1/hosts').catch(() => ({ body: undefined }))
    const up = (body?.items ?? []).filter((host: { state: string; worlds: { prefill: boolean; state: string }[] }) => {
      const filled = host.worlds.every((world) => !world.prefill || world.state === 'ready')
      return host.state === 'up' && filled
    })
    return up.length === names.length
  })

  /** What a trial that failed has left; what cannot be destroyed is left for whoever looks into it. */
  async function destroyAll(): Promise<void> {
    const { body } = await client.call('GET', '/v1/jails?limit=500')
    for (const { name } of body.items)
      await client
        .ended(await client.call('DELETE', `/v1/jails/${name}`))
        .catch((error) => console.error(`${name}: ${error.message}`))
  }

  return {
    trials,
    state,
    async stop(): Promise<void> {
      await destroyAll()
      for (const { host } of trials) await host.stop()
      await processes.end('producer', 'SIGTERM')
      await rm(state, { recursive: true, force: true }).catch((error) => console.error(`${state} stays: ${error.message}`))
    },
  }
}

/** Beside the one that all jails are of: one with an /etc/rc, and one of each way to fill that needs nothing from elsewhere. */
function makeWorlds(state: string): object[] {
  const tree = join(state, 'tree')
  for (const directory of ['bin', 'etc', 'dev', 'proc', 'sys', 'tmp']) mkdirSync(join(tree, directory), { recursive: true })
  spawnSync('busybox', ['cp', '/proc/self/exe', join(tree, 'bin/busybox')])
  symlinkSync('busybox', join(tree, 'bin/sh'))
  writeFileSync(join(tree, 'etc/rc'), 'echo started\n')
  const path = join(state, 'world.tar')
  spawnSync('tar', ['-C', tree, '-cf', path, '.'])
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
  return [
    { name: 'rc', method: 'tree', path: tree, prefill: true },
    { name: 'busybox2', method: 'busybox' },
    { name: 'tree', method: 'tree', path: tree },
    { name: 'archive', method: 'archive', path, sha256 },
  ]
}
