import { findProgram } from '../../../worker/host/programs/run-command.ts'
import type { Command } from '../processes.ts'

/** What "accepted is never lost" asks of a Redis. */
export const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction', '--save', '']

/** A Redis on 127.0.0.1 with its files in `directory`. */
export function redisServer(port: number, directory: string, settings: string[] = durable): Command {
  return {
    program: 'redis-server',
    args: ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, ...settings],
  }
}

/** Why no Redis can be started here, or undefined. */
export function whyNoRedisServer(): string | undefined {
  return findProgram('redis-server', process.env['PATH'] ?? '') ? undefined : 'no redis-server here'
}
