import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../../support/until.ts'
import { crashMachine } from './crash-machine.ts'
import type { Point } from './crash-points.ts'
import type { Order, Said } from './crash-worker.ts'

type Settings = Parameters<typeof crashMachine>[0] & { env: NodeJS.ProcessEnv }
type Start = Omit<Extract<Order, { type: 'start' }>, 'type'>
type Count = Omit<Extract<Order, { type: 'count' }>, 'type'>

export type CrashHost = Awaited<ReturnType<typeof crashHost>>

const withinMs = 30_000

/** A host whose worker dies at a point of the test's choice. The next worker waits, loaded, while the present one works. */
export async function crashHost({ env, ...settings }: Settings) {
  const machine = await crashMachine(settings)
  const log = createWriteStream(join(settings.directory, 'worker.log'), { flags: 'a' })
  let worker: TrialWorker | undefined
  let next = load()

  function load(): TrialWorker {
    const child = fork(join(import.meta.dirname, 'crash-worker.ts'), {
      env: { ...env, PROVOST_CONFIG: machine.file },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    child.stdout?.pipe(log, { end: false })
    child.stderr?.pipe(log, { end: false })
    return trialWorker(child)
  }

  const present = (): TrialWorker => {
    if (!worker) throw new Error(`no worker of ${settings.host} runs`)
    return worker
  }

  return {
    ...machine,
    name: settings.host,
    /** Starts the next worker. Returns once it has looked at what is there. */
    async start(start: Start = {}): Promise<void> {
      worker = next
      next = load()
      worker.order({ type: 'start', ...start })
      await Promise.race([worker.said('up'), worker.died])
    },
    /** From now on points count; the worker dies at the one that is named. */
    async count(count: Count): Promise<void> {
      present().order({ type: 'count', ...count })
      await present().said('counts')
      present().points.length = 0
    },
    waits: () => present().said('waits'),
    points: () => present().points,
    died: () => present().died,
    isDead: () => present().isDead(),
    async kill(): Promise<void> {
      present().kill('SIGKILL')
      await present().died
    },
    /** What its journal has of jails, and what fills have left. */
    files: () => ({
      journal: readdirSync(join(machine.directory, 'journal/jails')),
      worlds: readdirSync(machine.worlds).sort(),
    }),
    async stop(): Promise<void> {
      next.kill('SIGKILL')
      worker?.kill('SIGTERM')
      await Promise.all([next.died, worker?.died])
      machine.close()
    },
  }
}

type TrialWorker = ReturnType<typeof trialWorker>

function trialWorker(child: ChildProcess) {
  const points: Point[] = []
  const said = new Map<Said['type'], number>()
  const heard = new Map<Said['type'], number>()
  child.on('message', (message: Said) => {
    if (message.type === 'point') points.push(message.point)
    said.set(message.type, (said.get(message.type) ?? 0) + 1)
  })
  const died = once(child, 'exit').then(() => undefined)
  return {
    points,
    died,
    isDead: () => child.exitCode !== null || child.signalCode !== null,
    order: (order: Order) => child.send(order),
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Waits for the worker to say it once more. */
    async said(type: Said['type']): Promise<void> {
      const times = (heard.get(type) ?? 0) + 1
      heard.set(type, times)
      await until(`a worker to say ${type}`, async () => (said.get(type) ?? 0) >= times, withinMs)
    },
  }
}
