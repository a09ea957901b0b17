import { join } from 'node:path'
import { pino } from 'pino'
import { runService } from '#shared/process/run-service.ts'
import { readWorkerConfig } from '../../../worker/config/config.ts'
import { makeRuntime } from '../../../worker/host/make-runtime.ts'
import { type CommandOptions, commandRunner, type RunCommand } from '../../../worker/host/programs/run-command.ts'
import { type JournalFiles, journalFiles } from '../../../worker/journal/file.ts'
import { startWorker } from '../../../worker/start/start-worker.ts'
import { commandLabel, type Kill, type Point, writeLabel } from './crash-points.ts'

/**
 * What the trial tells its worker. `start`: a worker waits for it with everything loaded; with `counts` points count from its first
 * command on. `count`: points count from now on, and it dies at the one that is named. `fails`: the label of a command that fails, and only from there on points count;
 * `waits`: of one that runs until it is cancelled.
 */
export type Order =
  | { type: 'start'; fails?: string | undefined; waits?: string | undefined; counts?: boolean; kill?: Kill | undefined }
  | { type: 'count'; kill?: Kill | undefined; fails?: string | undefined }
export type Said = { type: 'up' | 'counts' | 'waits' } | { type: 'point'; point: Point }

const inFront = join(import.meta.dirname, 'in-front.sh')
let [counts, kill, fails, waits]: [boolean, Kill?, string?, string?] = [false]
const seen = new Map<string, number>()

const say = (said: Said) => process.send?.(said)
const die = () => process.kill(process.pid, 'SIGKILL')

/** The number of a point, once they count. */
function count(label: string): number {
  if (!counts) return 0
  const nth = (seen.get(label) ?? 0) + 1
  seen.set(label, nth)
  return nth
}

/** When to die at a point, if it is the one. */
function whenToDie(label: string, nth: number): Kill['when'] | undefined {
  return kill?.label === label && kill.nth === nth ? kill.when : undefined
}

function crashing(run: RunCommand): RunCommand {
  async function dieAt(when: Kill['when'], program: string, args: string[], options: CommandOptions) {
    if (when.at === 'before') die()
    const seconds = when.at === 'cut' ? `${when.seconds}` : '0'
    if (when.at === 'stuck' || when.at === 'alone' || when.at === 'cut')
      return run('/bin/sh', [inFront, when.at, `${process.pid}`, seconds, program, ...args], options)
    const input = when.at === 'line' ? { input: options.input?.split('\n').slice(0, when.lines).join('\n').concat('\n') } : {}
    return run(program, args, { ...options, ...input } as CommandOptions).finally(die)
  }

  return async (program, args, options = {}) => {
    const label = commandLabel(program, args)
    if (label === fails) {
      // What comes before is as in the plan where nothing fails.
      counts = true
      return run('false', [], options)
    }
    if (label === waits) {
      waits = undefined
      say({ type: 'waits' })
      await new Promise((resolve) => options.signal?.addEventListener('abort', resolve))
      throw options.signal?.reason
    }
    const nth = count(label)
    const when = whenToDie(label, nth)
    if (when) return dieAt(when, program, args, options)
    const startedAt = performance.now()
    try {
      return await run(program, args, options)
    } finally {
      const lines = options.input?.trim().split('\n').length ?? 0
      if (nth > 0) say({ type: 'point', point: { label, nth, sort: 'command', lines, ms: performance.now() - startedAt } })
    }
  }
}

/** Runs an effect on the journal's files, `half` where that can be. */
async function effect(label: string, sort: 'write' | 'rename', whole: () => Promise<void>, half = whole): Promise<void> {
  const nth = count(label)
  const when = whenToDie(label, nth)
  if (when?.at === 'before') die()
  await (when?.at === 'half' ? half() : whole())
  if (when) die()
  if (nth > 0) say({ type: 'point', point: { label, nth, sort, lines: 0, ms: 0 } })
}

const crashingFiles: JournalFiles = {
  write(file, text) {
    const half = text.slice(0, Math.ceil(text.length / 2))
    return effect(
      writeLabel(text),
      'write',
      () => journalFiles.write(file, text),
      () => journalFiles.write(file, half),
    )
  },
  rename: (from, to) => effect('journal: rename', 'rename', () => journalFiles.rename(from, to)),
  remove: (path) => effect('journal: remove', 'rename', () => journalFiles.remove(path)),
}

const told = Promise.withResolvers<void>()
process.on('message', (message: Order) => {
  fails = message.fails
  if (message.type === 'count') {
    counts = !fails
    kill = message.kill
    seen.clear()
    return say({ type: 'counts' })
  }
  waits = message.waits
  counts = message.counts ?? false
  kill = message.kill
  told.resolve()
})
process.on('disconnect', () => process.exit(1))
const log = pino({ level: 'info' })
await told.promise
await runService(async () => {
  const config = readWorkerConfig(process.env)
  const run = crashing(commandRunner({ commandPath: config.commandPath, worker: config.root }))
  const service = await startWorker(config, { host: makeRuntime({ run, config }), run, log, files: crashingFiles })
  say({ type: 'up' })
  return service
}, log)
