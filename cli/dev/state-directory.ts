import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '#shared/errors.ts'
import type { DevHost } from './derive-host.ts'
import type { ProcessRecord } from './processes/process-record.ts'

/** Chosen once and then kept: jails on the hosts have these addresses. */
type Chosen = { redisPort: number; hosts: DevHost[] }

export type StateDirectory = ReturnType<typeof openState>

/** Opens the directory that `provost dev` keeps everything in, and creates it if needed. */
export function openState(path: string) {
  mkdirSync(path, { recursive: true, mode: 0o711 })
  const root = realpathSync(path)
  const at = (...names: string[]) => join(root, ...names)
  const directory = (mode: number, ...names: string[]) => {
    mkdirSync(at(...names), { recursive: true, mode })
    return at(...names)
  }
  return {
    path: root,
    keyFile: at('key'),
    lockFile: at('lock'),
    producerFile: at('producer.yaml'),
    redisDirectory: () => directory(0o700, 'redis'),
    logFile: (name: string) => join(directory(0o700, 'log'), `${name}.log`),
    workerFile: (host: string) => join(directory(0o711, 'hosts', host), 'worker.yaml'),
    /** Where the producer keeps its secrets. */
    secretsDirectory: () => directory(0o700, 'secrets'),
    /** What a host joined the fleet with. */
    identityFile: (host: string) => at('hosts', host, 'identity.json'),
    joinTokenFile: (host: string) => at('hosts', host, 'join-token'),
    hostRoot: (host: string) => at('hosts', host, 'root'),

    /** Returns the API key of an earlier start, or creates one. */
    key(): string {
      const known = readText(at('key'))?.trim()
      if (known) return known
      const key = randomBytes(24).toString('base64url')
      writeWhole(at('key'), `${key}\n`)
      return key
    },

    chosen: (): Partial<Chosen> => readJson<Partial<Chosen>>(at('chosen.json')) ?? {},
    keepChosen: (chosen: Chosen) => writeWhole(at('chosen.json'), `${JSON.stringify(chosen, undefined, 2)}\n`),

    /** Says where its Redis answers, for whoever looks into it; undefined: it does not any more. */
    keepRedis: (redis: { host: string; port: number } | undefined) =>
      redis ? writeWhole(at('redis.json'), `${JSON.stringify(redis)}\n`) : rmSync(at('redis.json'), { force: true }),

    /** The processes of the previous start, `provost dev` itself first. */
    processes: (): ProcessRecord[] => readJson<ProcessRecord[]>(at('processes.json')) ?? [],
    keepProcesses: (records: ProcessRecord[]) => writeWhole(at('processes.json'), `${JSON.stringify(records, undefined, 2)}\n`),
  }
}

/** Writes a file aside and renames it: a kill leaves either the old file or the new one. */
export function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function readJson<T>(path: string): T | undefined {
  const text = readText(path)
  return text === undefined ? undefined : (JSON.parse(text) as T)
}
