import { stringify } from 'yaml'
import type { DevHost } from './derive-host.ts'
import { StartFailed } from './end-previous-start.ts'
import { inviteHosts } from './invite-hosts.ts'
import { awaitReady } from './processes/await-ready.ts'
import { findProcesses } from './processes/find-processes.ts'
import { endProcess, recordProcess, signal } from './processes/process-record.ts'
import { type Started, startService } from './processes/start-process.ts'
import { awaitRedis, startRedis } from './processes/start-redis.ts'
import { type StateDirectory, writeWhole } from './state-directory.ts'
import { workerFile } from './worker-file.ts'

type FleetPlan = {
  state: StateDirectory
  port: number
  key: string
  redisPort: number
  hosts: DevHost[]
  overrides: Record<string, unknown>
  print(line: string): void
}

export type Fleet = {
  /** Settles when all processes are ready. Rejects with StartFailed when one ends before that. */
  ready: Promise<void>
  /** Ends the workers, the producer and Redis, in this order; jails keep running. */
  stop(): Promise<void>
  /** Kills all processes at once. */
  kill(): void
}

const patienceMs = 30_000

/** Starts Redis, the producer and a worker for each host as separate processes. */
export function runFleet({ state, port, key, redisPort, hosts, overrides, print }: FleetPlan): Fleet {
  const started: Started[] = []
  const stopping = new AbortController()
  const redisUrl = `redis://127.0.0.1:${redisPort}`
  const url = `http://127.0.0.1:${port}`

  const add = (process: Started, note: string) => {
    started.push(process)
    keepProcesses()
    print(`${process.record.name} pid ${process.record.pid} ${note}`)
    void process.ended.then((how) => {
      if (stopping.signal.aborted) return
      const name = `${process.record.name} (pid ${process.record.pid})`
      const tail = process.logTail().map((line) => `  | ${line}`)
      print(
        [
          `${name} ${how}; it is not started again. To go on, end this with Ctrl-C and start it anew; jails run on. The end of ${process.logFile}:`,
          ...tail,
        ].join('\n'),
      )
    })
  }
  const filesOf = (id: string) => ({
    root: state.hostRoot(id),
    identity: state.identityFile(id),
    joinTokenFile: state.joinTokenFile(id),
  })
  const keepProcesses = () => state.keepProcesses([recordProcess('dev', process.pid), ...started.map(({ record }) => record)])

  const start = async () => {
    const ids = hosts.map(({ id }) => id)
    writeWhole(state.producerFile, stringify({ hosts: ids }))
    for (const host of hosts) writeWhole(state.workerFile(host.id), stringify(workerFile(host, filesOf(host.id), overrides)))
    add(startRedis(redisPort, state.redisDirectory(), state.logFile('redis')), redisUrl)
    await unlessEnded(awaitRedis(redisUrl, ids))
    state.keepRedis({ host: '127.0.0.1', port: redisPort })
    const producer = {
      PROVOST_REDIS_URL: redisUrl,
      PROVOST_LISTEN: `127.0.0.1:${port}`,
      PROVOST_API_KEY: key,
      PROVOST_SECRETS: state.secretsDirectory(),
      PROVOST_PRODUCER_CONFIG: state.producerFile,
    }
    add(startService('producer', { name: 'producer', env: producer, logFile: state.logFile('producer') }), url)
    await unlessEnded(inviteHosts(ids, { url, key, filesOf, signal: stopping.signal }))
    for (const id of ids) {
      const env = { PROVOST_REDIS_URL: redisUrl, PROVOST_URL: url, PROVOST_CONFIG: state.workerFile(id) }
      add(startService('worker', { name: `worker ${id}`, env, logFile: state.logFile(id) }), env.PROVOST_CONFIG)
    }
    await unlessEnded(awaitReady(url, print, stopping.signal))
  }

  /** Waits for `work` as long as no process ends. */
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
      // Including killed workers that a person has started again: they are useless without Redis.
      const others = hosts.flatMap(({ id }) => findProcesses(`worker ${id}`, state.workerFile(id)))
      for (const records of [[...named(/^worker /), ...others], named(/^producer$/), named(/^redis$/)])
        await Promise.all(records.map((record) => endProcess(record, patienceMs)))
      state.keepProcesses([])
      state.keepRedis(undefined)
    },
    kill() {
      stopping.abort(new StartFailed('It was told to stop at once.'))
      for (const { record } of started.toReversed()) signal(record, 'SIGKILL')
    },
  }
}
