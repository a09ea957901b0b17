import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Running } from './services.ts'

/** What became of one pass of some work. */
export type Pass = { name: string; seconds: number; error?: unknown }

/** Work that is done again and again. */
export type Repeated = {
  name: string
  /**
   * Does it now, or once more after the pass under way. Settles as that pass does, and at once when there are no more. Nobody
   * has to wait for it, nor to handle what it throws: that a pass failed is told.
   */
  now(): Promise<void>
  /** Begins no further pass, and waits for the one under way. */
  stop(): Promise<void>
}

export type Repeat = (name: string, everyMs: number, work: () => Promise<unknown>) => Repeated
export type Follow = (name: string, work: () => Promise<unknown>) => Running

/** Returns both for the background work of a process: each pass is counted, and one that fails is logged. */
export function makeBackground(log: Pick<Logger, 'warn'>, count: (pass: Pass) => void): { repeat: Repeat; follow: Follow } {
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
 * Does some work every so many milliseconds, never twice at once: what is due during a pass is left out, and what was asked for
 * is done once more after it. After a pass that failed the next one comes all the same.
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
  return {
    name,
    now,
    async stop() {
      isStopped = true
      clearInterval(timer)
      await running?.catch(() => undefined)
    },
  }
}

const pauseAfterFailureMs = 500

/** Does work that waits by itself for what it is about, each pass right after the one before, or a moment after one that failed. */
export function follow(name: string, work: () => Promise<unknown>, onPass: (pass: Pass) => void): Running {
  const stopping = new AbortController()
  const { signal } = stopping
  const tellUnlessStopped = (pass: Pass) => signal.aborted || onPass(pass)
  const following = (async () => {
    while (!signal.aborted)
      await doOnce(name, work, tellUnlessStopped).catch(() =>
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
