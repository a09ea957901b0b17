import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Running } from './services.ts'

/** The outcome of one pass of some work. */
export type Pass = { name: string; seconds: number; error?: unknown }

/** Work that is repeated. */
export type Repeated = {
  name: string
  /**
   * Does the work now, or once more after the pass under way. Settles as that pass does, at once when stopped. The caller need
   * neither await it nor handle its rejection: a failed pass is reported to `onPass`.
   */
  now(): Promise<void>
  /** Begins no further pass. */
  halt(): void
  /** Begins no further pass and waits for the one under way. */
  stop(): Promise<void>
}

export type Repeat = (name: string, everyMs: number, work: () => Promise<unknown>) => Repeated
export type Follow = (name: string, work: () => Promise<unknown>) => Running

/** Returns `repeat` and `follow` for the background work of a process: each pass is counted, each failure logged. */
export function backgroundWork(log: Pick<Logger, 'warn'>, count: (pass: Pass) => void): { repeat: Repeat; follow: Follow } {
  const onPass = (pass: Pass) => {
    count(pass)
    if (pass.error !== undefined) log.warn({ err: pass.error, work: pass.name }, 'background work failed; it is tried again')
  }
  return {
    repeat: (name, everyMs, work) => repeat(name, everyMs, work, onPass),
    follow: (name, work) => follow(name, work, onPass),
  }
}

/**
 * Does some work every `everyMs`, one pass at a time: a pass that is due during another is skipped, passes asked for by `now`
 * become one after it. A failed pass does not stop the repetition.
 */
export function repeat(
  name: string,
  everyMs: number,
  work: () => Promise<unknown>,
  onPass: (pass: Pass) => void = () => undefined,
): Repeated {
  let running: Promise<void> | undefined
  let asked: PromiseWithResolvers<void> | undefined
  let isStopped = false

  function begin(): Promise<void> {
    running = doOnce(name, work, onPass).finally(() => {
      running = undefined
      const next = asked
      asked = undefined
      if (next) now().then(next.resolve, next.reject)
    })
    return handled(running)
  }

  function now(): Promise<void> {
    if (isStopped) return Promise.resolve()
    if (!running) return begin()
    asked ??= Promise.withResolvers()
    return handled(asked.promise)
  }

  const timer = setInterval(() => running ?? begin(), everyMs)
  function halt(): void {
    isStopped = true
    clearInterval(timer)
  }
  return {
    name,
    now,
    halt,
    async stop() {
      halt()
      await running?.catch(() => undefined)
    },
  }
}

const pauseAfterFailureMs = 500

/** Does work that waits for its own input: each pass follows the last one at once, or after a pause when that failed. */
export function follow(name: string, work: () => Promise<unknown>, onPass: (pass: Pass) => void): Running {
  const stopping = new AbortController()
  const { signal } = stopping
  const onPassUnlessStopped = (pass: Pass) => signal.aborted || onPass(pass)
  const following = (async () => {
    while (!signal.aborted)
      await doOnce(name, work, onPassUnlessStopped).catch(() =>
        sleep(pauseAfterFailureMs, undefined, { signal }).catch(() => undefined),
      )
  })()
  return {
    name,
    stop() {
      stopping.abort()
      return following
    },
  }
}

async function doOnce(name: string, work: () => Promise<unknown>, onPass: (pass: Pass) => void): Promise<void> {
  const beganMs = performance.now()
  const secondsSoFar = () => (performance.now() - beganMs) / 1000
  try {
    await work()
    onPass({ name, seconds: secondsSoFar() })
  } catch (error) {
    onPass({ name, seconds: secondsSoFar(), error })
    throw error
  }
}

function handled(pass: Promise<void>): Promise<void> {
  pass.catch(() => undefined)
  return pass
}
