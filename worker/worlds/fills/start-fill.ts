import { setTimeout as sleep } from 'node:timers/promises'
import type { LimitFunction } from 'p-limit'
import type { Logger } from 'pino'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { WorldId } from '#shared/job.ts'
import { type RetryPolicy, retryDelayMs } from '#shared/process/retry-policy.ts'
import type { World } from '../../config/world.ts'
import type { FilledWorld } from '../../host/files/world-ids.ts'
import type { HostRuntime } from '../../host/host-runtime.ts'
import { type CommandRecord, onBehalfOf, type RunCommand } from '../../host/programs/run-command.ts'
import { fillDirectory } from '../fill-directory.ts'
import type { Asker, Fill } from '../world-store.ts'

export type FillDeps = {
  host: Pick<HostRuntime, 'platform' | 'stageWorld' | 'commitWorld' | 'discardStage' | 'endProcessesOf'>
  run: RunCommand
  log: Pick<Logger, 'info' | 'warn'>
  /** Runs as many fills at once as there are slots. */
  limit: LimitFunction
  retry: RetryPolicy
  signal: AbortSignal
  /** What the fill waits for: an earlier one of the same world that still removes its stage. */
  after: Promise<unknown>
}

export type RunningFill = Omit<Fill, 'done'> & {
  done: Promise<FilledWorld>
  /** Whether it was ended because nobody waited for it any more. */
  isLeft(): boolean
  /** Adds an asker: its log gets the commands so far, and those to come. */
  join(asker: Asker): void
  operations(): string[]
  fraction(): number
}

/** Starts to make a world: staged, filled, and put in its place in one rename; tried again when the failure may pass. */
export function startFill(world: World, id: WorldId, deps: FillDeps): RunningFill {
  const askers = new Map<string, Asker>()
  const records: CommandRecord[] = []
  const listeners = new Set<(fraction: number) => void>()
  const left = new AbortController()
  const signal = AbortSignal.any([deps.signal, left.signal])
  let fraction = 0

  const record = (command: CommandRecord) => {
    records.push(command)
    for (const asker of askers.values()) asker.record(command)
  }
  const progress = (done: number) => {
    if (!(done > fraction)) return
    // The rest is for putting it in its place.
    fraction = Math.min(done, 0.99)
    for (const listener of listeners) listener(fraction)
  }

  const work = async () => {
    await deps.after.catch(() => undefined)
    return onBehalfOf(purposeOf(world), record, () => fillWithRetries(world, id, progress, { ...deps, signal }))
  }
  return {
    done: deps.limit(work),
    onProgress(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    join(asker) {
      // An operation that asks once more, after a pause, may have another log by now.
      if (!askers.has(asker.operation)) for (const command of records) asker.record(command)
      askers.set(asker.operation, asker)
    },
    leave(operation) {
      const wasThere = askers.delete(operation)
      if (!wasThere || askers.size > 0 || world.prefill) return
      left.abort(new ProvostError('cancelled', `Nobody waits for world ${world.name} any more.`))
    },
    isLeft: () => left.signal.aborted,
    operations: () => [...askers.keys()],
    fraction: () => fraction,
  }
}

/** What a fill's commands are run for, instead of an operation: many operations may wait for it. */
const purposeOf = ({ name }: World) => `fill-${name}`

type Progress = (fraction: number) => void

async function fillWithRetries(world: World, id: WorldId, progress: Progress, deps: FillDeps): Promise<FilledWorld> {
  const { signal, retry, log } = deps
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fillOnce(world, id, progress, deps)
    } catch (thrown) {
      signal.throwIfAborted()
      const error = toProvostError(thrown)
      if (!error.retryable) throw error
      // It was tried as often as it may be: whoever asked must not try again.
      if (attempt >= retry.maxAttempts)
        throw new ProvostError(error.code, `${error.message} (tried ${attempt} times)`, { ...error.facts, retryable: false })
      const delayMs = retryDelayMs(attempt, retry)
      log.warn({ world: world.name, attempt, delayMs, code: error.code, reason: error.message }, 'fill is tried again')
      await sleep(delayMs, undefined, { signal })
    }
  }
}

async function fillOnce(world: World, id: WorldId, progress: Progress, deps: FillDeps): Promise<FilledWorld> {
  const { host, run, signal, log } = deps
  signal.throwIfAborted()
  const startedAt = performance.now()
  try {
    const directory = await host.stageWorld(id)
    await fillDirectory({ world, directory, platform: host.platform, run, signal, progress })
    signal.throwIfAborted()
    const filled = { ...id, fillMs: Math.round(performance.now() - startedAt) }
    await host.commitWorld(filled)
    return filled
  } catch (error) {
    // A process that a command left running must not write into the stage any more.
    await host.endProcessesOf(purposeOf(world)).catch((failure) => {
      log.warn({ err: failure, world: world.name }, 'what a fill left running does not end')
    })
    await host.discardStage(id).catch((failure) => {
      log.warn({ err: failure, world: world.name }, 'a stage could not be removed; the next start of the worker tries again')
    })
    throw error
  }
}
