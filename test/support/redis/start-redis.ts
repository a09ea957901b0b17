import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { freePort } from '../free-port.ts'
import { durable, redisServer } from './redis-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Empty if there is no Redis. */
    redisUrl: string
  }
}

type Running = { url: string; stop(): Promise<void> }

/** A vitest global setup: one real Redis for all rings. */
export default async function startRedis(project: TestProject) {
  const given = process.env['PROVOST_TEST_REDIS_URL']
  if (given) return project.provide('redisUrl', given)

  const redis = (await inContainer()) ?? (await asProcess())
  project.provide('redisUrl', redis?.url ?? '')
  if (!redis) {
    console.error('\nNOT RUN HERE: tests that need Redis: no PROVOST_TEST_REDIS_URL, no containers, no redis-server.\n')
    return
  }
  // The next ring's setup finds it here; all teardowns come after the last ring.
  process.env['PROVOST_TEST_REDIS_URL'] = redis.url
  return () => redis.stop()
}

async function inContainer(): Promise<Running | undefined> {
  if (!(await containersAnswer())) return undefined
  try {
    // Only here, since it takes half a second to load.
    const { RedisContainer } = await import('@testcontainers/redis')
    const container = await new RedisContainer('redis:7').withCommand(['redis-server', ...durable]).start()
    return { url: container.getConnectionUrl(), stop: async () => void (await container.stop()) }
  } catch (error) {
    console.error(`A container runtime answers but gives no Redis: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
}

/** Whether a Docker API answers within a second: testcontainers alone would look for one much longer. */
async function containersAnswer(): Promise<boolean> {
  const host = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock'
  const target = host.startsWith('unix://')
    ? { socketPath: host.slice('unix://'.length) }
    : { host: new URL(host).hostname, port: new URL(host).port }
  if ('socketPath' in target && !existsSync(target.socketPath)) return false
  return new Promise((resolve) => {
    request({ ...target, path: '/_ping', timeout: 1_000 }, (response) => resolve(response.resume().statusCode === 200))
      .on('timeout', () => resolve(false))
      .on('error', () => resolve(false))
      .end()
  })
}

async function asProcess(): Promise<Running | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'provost-test-redis-'))
  const port = await freePort()
  const { program, args } = redisServer(port, directory)
  const server = spawn(program, args, { stdio: 'ignore' })
  const stop = async () => {
    await ended(server)
    await rm(directory, { recursive: true, force: true })
  }
  if (!(await answers(port, server))) {
    await stop()
    return undefined
  }
  console.error(`No container runtime answers: the tests use a local redis-server, pid ${server.pid}, port ${port}.`)
  return { url: `redis://127.0.0.1:${port}`, stop }
}

/** Whether the server takes connections before it ends, or could not be started at all. */
function answers(port: number, server: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    server.once('error', () => resolve(false)).once('exit', () => resolve(false))
    const attempt = () => {
      if (server.exitCode !== null) return
      connect(port, '127.0.0.1')
        .on('connect', function (this: { destroy(): void }) {
          this.destroy()
          resolve(true)
        })
        .on('error', () => setTimeout(attempt, 20))
    }
    attempt()
  })
}

function ended(server: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (server.pid === undefined || server.exitCode !== null) return resolve()
    server.once('exit', () => resolve())
    server.kill('SIGTERM')
  })
}
