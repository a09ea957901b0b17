import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { JailSpec } from '#shared/job.ts'
import { retryDelayMs, stepRetry } from '#shared/process/retry-policy.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { Journal } from '../journal/journal.ts'
import * as plans from '../plans/plans.ts'

type Deps = { host: HostRuntime; journal: Journal; log: Logger }

/** Takes a jail down from any half-made state, and removes its root too if asked. @throws ProvostError what cannot be removed */
export async function removeJail(jail: JailSpec, host: HostRuntime, how: 'with-root' | 'but-root'): Promise<void> {
  for (const step of how === 'with-root' ? plans.remove : plans.takeDown)
    await step.run({ host, jail, signal: AbortSignal.timeout(step.timeoutMs), learn: () => undefined })
}

/** Takes down what is left of a jail that does not run, except its root. Never throws. */
export async function takeDown(spec: JailSpec, { host, log }: Omit<Deps, 'journal'>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await removeJail(spec, host, 'but-root')
    } catch (error) {
      log.error({ err: error, jail: spec.name }, 'what is left of a jail that does not run could not be taken down')
      if (attempt >= stepRetry.maxAttempts) return
      await sleep(retryDelayMs(attempt, stepRetry))
    }
  }
}

/** Removes all of a jail that must not be here any more, and forgets it. Never throws. */
export async function removeLeftovers(spec: JailSpec, { host, journal, log }: Deps): Promise<void> {
  try {
    await removeJail(spec, host, 'with-root')
    await journal.forget(spec.name)
    log.info({ jail: spec.name }, 'removed what was left of a jail')
  } catch (error) {
    log.error({ err: error, jail: spec.name }, 'what was left of a jail could not be removed')
  }
}
