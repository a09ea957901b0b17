import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { type Command, makeProcesses } from '../processes.ts'
import type { TestRedis } from '../redis/redis-test.ts'
import { apiKey, makeClient } from './client.ts'
import { secretsIn } from './enrol-on-disk.ts'

const project = join(import.meta.dirname, '..', '..', '..')

/** A service as a process. `entered`: a command that becomes it, somewhere else. */
export function service(name: 'producer' | 'worker', env: NodeJS.ProcessEnv, entered: string[] = []): Command {
  const [program = '', ...args] = [...entered, process.execPath, join(project, name, 'main.ts')]
  return { program, args, env }
}

/**
 * What fleets have whose services are processes of their own: a directory, a producer that is yet to be started, and a
 * client of it. `env`: what its services are told; `tag`: six hexadecimal digits of its own, for names on this machine.
 */
export async function processFleet(redis: TestRedis, more: NodeJS.ProcessEnv = {}) {
  const state = await mkdtemp(join(tmpdir(), 'provost-fleet-'))
  const tag = redis.prefix.replace(/[^0-9a-f]/g, '').slice(-6)
  const listen = `127.0.0.1:${await freePort()}`
  const env = {
    PATH: process.env['PATH'],
    PROVOST_REDIS_URL: redis.url,
    PROVOST_REDIS_PREFIX: redis.prefix,
    PROVOST_SECRETS: secretsIn(state),
    ...more,
  }
  const processes = makeProcesses(state)
  processes.define('producer', service('producer', { ...env, PROVOST_LISTEN: listen, PROVOST_API_KEY: apiKey }))
  const client = makeClient(`http://${listen}`)
  return {
    ...client,
    ...processes,
    state,
    env,
    tag,
    /** The third part of its IPv4 addresses. */
    third: Number.parseInt(tag.slice(0, 2), 16),
    /** Destroys all jails. `onFault` hears of those that cannot be destroyed; without it the first one is thrown. */
    async destroyJails(onFault = throwFault): Promise<void> {
      const { body } = await client.call('GET', '/v1/jails?limit=500')
      for (const { name } of body?.items ?? []) {
        const destroy = await client.call('DELETE', `/v1/jails/${name}`)
        await client.ended(destroy).catch((error) => onFault(new Error(`${name}: ${error.message}`)))
      }
    },
    /** Ends its services and removes its directory. */
    async close(): Promise<void> {
      await processes.killAll()
      await rm(state, { recursive: true, force: true })
    },
  }
}

function throwFault(fault: Error): void {
  throw fault
}
