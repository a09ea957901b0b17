import { stringify } from 'yaml'
import type { DevHost } from './derive-host.ts'
import { awaitReady } from './processes/await-ready.ts'
import { findProcesses } from './processes/find-processes.ts'
import { endProcess, recordProcess, signal } from './processes/process-record.ts'
import { type Started, startProcess } from './processes/start-process.ts'
import { redisAnswers, startRedis } from './processes/start-redis.ts'
import { type StateDirectory, writeWhole } from './state-directory.ts'
import { StartFailed } from './take-over.ts'
import { workerFile } from './worker-file.ts'

export type FleetPlan = {
  state: StateDirectory
  port: number
  key: string
  redisPort: number
  hosts: DevHost[]
  over: Record<string, unknown>
  say(line: string): void
}

export type Fleet = {
  /** Settles when all is up and ready. @throws StartFailed when a process ended before that. */
  ready: Promise<void>
  /** Ends the workers, the producer and Redis, in this order; jails go on running. */
  stop(): Promise<void>
  /** Ends all of them at once. */
  kill(): void
}

const patienceMs = 30_000

/** Starts Redis, the producer and a worker for each host, each a process of its own. */
export function runFleet({ state, port, key, redisPort, hosts, over, say }: FleetPlan): Fleet {
  const started: Started[] = []
  const stopping = new AbortController()
  const redisUrl = `redis://127.0.0.1:${redisPort}`
  const url = `http://127.0.0.1:${port}`
  const program = (name: string) => new URL(`../../${name}/main.ts`, import.meta.url).pathname

  const add = (process: Started, note: string) => {
    started.push(process)
    keepProcesses()
    say(`${process.record.name} pid ${process.record.pid} ${note}`)
    void process.ended.then((how) => {
      if (stopping.signal.aborted) return
      const name = `${process.record.name} (pid ${process.record.pid})`
      say([`${name} ${how}; it is not started again. The end of ${process.logFile}:`, ...indented(process.logTail())].join('\n'))
    })
    return process
  }
  const keepProcesses = () => state.keepProcesses([recordProcess('dev', process.pid), ...started.map(({ record }) => record)])

  const start = async () => {
    writeWhole(state.producerFile, stringify({ hosts: hosts.map(({ id }) => id) }))
    for (const host of hosts) writeWhole(state.workerFile(host.id), stringify(workerFile(host, state.hostRoot(host.id), over)))
    add(startRedis(redisPort, state.redisDirectory(), state.logFile('redis')), redisUrl)
    await unlessEnded(
      redisAnswers(
        redisUrl,
        hosts.map(({ id }) => id),
      ),
    )
    const service = (name: string, kind: string, logName: string, env: Record<string, string>) =>
      startProcess({
        name,
        program: process.execPath,
        args: [program(kind)],
        env: { PROVOST_REDIS_URL: redisUrl, ...env },
        logFile: state.logFile(logName),
      })
    const producer = {
      PROVOST_LISTEN: `127.0.0.1:${port}`,
      PROVOST_API_KEY: key,
      PROVOST_PRODUCER_CONFIG: state.producerFile,
    }
    add(service('producer', 'producer', 'producer', producer), url)
    for (const { id } of hosts)
      add(service(`worker ${id}`, 'worker', id, { PROVOST_CONFIG: state.workerFile(id) }), state.workerFile(id))
    await unlessEnded(awaitReady(url, say, stopping.signal))
  }

  /** Waits for `work`, but not for longer than all processes live. */
  const unlessEnded = <T>(work: Promise<T>): Promise<T> => {
    const deaths = started.map(({ record, ended }) =>
      ended.then((how) => Promise.reject(new StartFailed(`${record.name} ${how}.`))),
    )
    return Promise.race([work, ...deaths])
  }

  const named = (name: RegExp) => started.map(({ record }) => record).filter((record) => name.test(record.name))
  return {
    ready: start(),
    async stop() {
      stopping.abort(new StartFailed('It was told to stop.'))
      // A person may have started a killed worker again; without Redis it would be of no use.
      const others = hosts.flatMap(({ id }) => findProcesses(`worker ${id}`, state.workerFile(id)))
      for (const records of [[...named(/^worker /), ...others], named(/^producer$/), named(/^redis$/)])
        await Promise.all(records.map((record) => endProcess(record, patienceMs)))
      state.keepProcesses([])
    },
    kill() {
      stopping.abort(new StartFailed('It was told to stop at once.'))
      for (const { record } of started.toReversed()) signal(record, 'SIGKILL')
    },
  }
}

function indented(lines: string[]): string[] {
  return lines.map((line) => `  | ${line}`)
}
