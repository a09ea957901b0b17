import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'vitest'
import { freePort } from '../free-port.ts'
import { makeProcesses } from '../processes.ts'
import { redisServer, whyNoRedisServer } from './redis-server.ts'

/** For a Redis that keeps nothing when it ends. */
const forgetful = ['--save', '']

/** A Redis of a test's own, which it may end and start again, and which may still be starting when it is first used. */
export async function ownRedis({ skip, onTestFinished }: Pick<TestContext, 'skip' | 'onTestFinished'>, settings = forgetful) {
  const whyNot = whyNoRedisServer()
  skip(whyNot !== undefined, whyNot)
  const directory = await mkdtemp(join(tmpdir(), 'provost-redis-'))
  const port = await freePort()
  const processes = makeProcesses(directory)
  processes.define('redis', redisServer(port, directory, settings))
  onTestFinished(async () => {
    await processes.killAll()
    await rm(directory, { recursive: true, force: true })
  })
  processes.start('redis')
  return {
    redis: { url: `redis://127.0.0.1:${port}`, prefix: '{own}' },
    start: () => void processes.start('redis'),
    end: (signal: NodeJS.Signals = 'SIGKILL') => processes.end('redis', signal),
  }
}
