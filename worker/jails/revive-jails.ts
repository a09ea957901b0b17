import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { toProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { retryDelayMs, stepRetry } from '#shared/process/retry-policy.ts'
import type { JailReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { Journal } from '../journal/journal.ts'
import { start } from '../plans/plans.ts'
import type { JailFacts, Step, StepContext } from '../plans/steps/step.ts'
import type { WorldStore } from '../worlds/world-store.ts'
import { removeJail } from './take-down.ts'

type Deps = {
  hostId: string
  host: HostRuntime
  worlds: WorldStore
  journal: Journal
  log: Logger
  withJail<T>(name: string, work: () => Promise<T>): Promise<T>
  send(report: JailReport): Promise<void>
}

const atOnce = 2

/**
 * After a reboot or a killed worker: jails that are to run are started again, and each one's isolation is proven. What an
 * operation was in the middle of is left to that operation, whose job comes again.
 * Gives those that are to run and do not, which was reported.
 */
export async function reviveJails(found: SettledJail[], deps: Deps): Promise<SettledJail[]> {
  const slots = pLimit(atOnce)
  const isDown = await Promise.all(found.map((jail) => slots(() => reviveJail(jail, deps))))
  return found.filter((_, i) => isDown[i])
}

export type SettledJail = { spec: JailSpec; epoch: number }

/** The jails that no operation was at work on: to be looked up before any job is taken. */
export function settledJails(journal: Journal): SettledJail[] {
  return journal.jails().flatMap(({ spec, settled, current }) => (settled && !current ? [{ spec, epoch: settled.epoch }] : []))
}

/** Gives whether it is to run and does not. */
async function reviveJail({ spec, epoch }: SettledJail, deps: Deps): Promise<boolean> {
  return deps.withJail(spec.name, async () => {
    const jail = deps.journal.jail(spec.name)
    // An operation that came first has seen to the jail.
    if (jail?.settled?.epoch !== epoch || jail.current) return false
    if (jail.settled.wanted !== 'running') return false
    const report = await bringUp(spec, epoch, deps)
    // Redis may be full or away; the next jail need not wait for that.
    deps.send(report).catch((error) => deps.log.error({ err: error, jail: spec.name }, 'how a jail stands could not be reported'))
    return report.jailState === 'stopped'
  })
}

async function bringUp(spec: JailSpec, epoch: number, deps: Deps): Promise<JailReport> {
  const facts: JailFacts = {}
  const report = { type: 'jail', host: deps.hostId, jail: spec.name, epoch } as const
  try {
    for (const step of start) await runStep(step, spec, facts, deps)
    return { ...report, at: new Date().toISOString(), jailState: 'running', jid: null, ...facts }
  } catch (thrown) {
    const error = toProvostError(thrown)
    deps.log.error({ err: error, jail: spec.name }, 'a jail that is to run could not be brought up and proven')
    // One that was seen not to be isolated must not run. That it could not be looked at is no reason to end it.
    const running = error.code === 'isolation_unproven' ? undefined : await deps.host.findJail(spec).catch(() => undefined)
    if (!running) await takeDown(spec, deps)
    return {
      ...report,
      at: new Date().toISOString(),
      ...facts,
      jailState: running ? 'running' : 'stopped',
      jid: running?.jid ?? null,
    }
  }
}

/** Runs a step until it succeeds or fails for good, with the waits of a step of an operation. */
async function runStep(step: Step, spec: JailSpec, facts: JailFacts, deps: Deps): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await step.run(contextOf(spec, step.timeoutMs, facts, deps))
    } catch (thrown) {
      if (!toProvostError(thrown).retryable || attempt >= stepRetry.maxAttempts) throw thrown
      await sleep(retryDelayMs(attempt, stepRetry))
    }
  }
}

/** Takes down what is left of a jail that does not run, but for its root. Never throws. */
export async function takeDown(spec: JailSpec, { host, log }: Pick<Deps, 'host' | 'log'>): Promise<void> {
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

/** Removes all of a jail that is not to be here any more, and forgets it. Never throws. */
export async function removeLeftovers(spec: JailSpec, deps: Pick<Deps, 'host' | 'journal' | 'log'>): Promise<void> {
  try {
    await removeJail(spec, deps.host, 'with-root')
    await deps.journal.forget(spec.name)
    deps.log.info({ jail: spec.name }, 'removed what was left of a jail')
  } catch (error) {
    deps.log.error({ err: error, jail: spec.name }, 'what was left of a jail could not be removed')
  }
}

function contextOf(jail: JailSpec, timeoutMs: number, facts: JailFacts, deps: Deps): StepContext {
  return {
    host: deps.host,
    worlds: deps.worlds,
    jail,
    asker: { operation: `revive-${jail.name}`, record: () => undefined },
    signal: AbortSignal.timeout(timeoutMs),
    learn: (learnt) => Object.assign(facts, learnt),
  }
}
