import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { toProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { retryDelayMs, stepRetry } from '#shared/process/retry-policy.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { JailReport } from '#shared/report.ts'
import type { Journal } from '../journal/journal.ts'
import { neighboursOf } from '../journal/neighbours.ts'
import { start } from '../plans/plans.ts'
import type { RunDeps } from '../plans/run.ts'
import type { JailFacts, Step, StepContext } from '../plans/steps/step.ts'
import { removeJail, takeDown } from './remove-jail.ts'
import { makeSlots } from './slots.ts'

type Deps = Pick<RunDeps, 'host' | 'worlds' | 'journal' | 'withJail'> & {
  hostId: string
  log: Logger
  stopping: AbortSignal
  /** After how many milliseconds a jail that is not up yet is gone round. */
  overdueMs: number
  send(report: JailReport): Promise<void>
}

const atOnce = 2

/**
 * Starts the jails that are wanted running again, after a reboot or a killed worker, and proves the isolation of each, also of those
 * that have run on. What does not run is told first. A jail with an operation that has not ended is left to that, whose job comes again.
 * One that takes long is gone round: its client can delay it, and the others are up meanwhile. Returns those that are wanted running and do
 * not run, which was reported.
 */
export async function reviveJails(jails: SettledJail[], deps: Deps): Promise<SettledJail[]> {
  await tellDead(jails, deps).catch((error) => deps.log.error({ err: error }, 'which jails run could not be seen'))
  const slots = makeSlots(atOnce)
  const isDown = await Promise.all(
    jails.map(async (jail) => {
      const giveBack = await slots.take('interactive', jail.spec.client, deps.stopping)
      const timer = giveBack && setTimeout(giveBack, deps.overdueMs)
      try {
        return await reviveJail(jail, deps)
      } finally {
        clearTimeout(timer)
        giveBack?.()
      }
    }),
  )
  return jails.filter((_, i) => isDown[i])
}

/** Redis may be full or away: what does not run is brought up all the same. */
async function tellDead(jails: SettledJail[], deps: Deps): Promise<void> {
  const running = await deps.host.listJails()
  for (const { spec, epoch } of jails) {
    const { settled, current } = deps.journal.jail(spec.name) ?? {}
    if (running.has(spec.name) || settled?.wanted !== 'running' || current) continue
    tell(
      {
        ...{ type: 'jail', host: deps.hostId, jail: spec.name, epoch, at: fleetTime().toISOString() },
        ...{ jailState: 'stopped', jid: null, reason: 'It does not run since its worker started, and is being brought up.' },
      },
      deps,
    )
  }
}

function tell(report: JailReport, { send, log }: Pick<Deps, 'send' | 'log'>): void {
  send(report).catch((error) => log.error({ err: error, jail: report.jail }, 'how a jail is could not be reported'))
}

export type SettledJail = { spec: JailSpec; epoch: number }

/** Returns the jails without an operation that has not ended. Must be called before any job is taken. */
export function settledJails(journal: Journal): SettledJail[] {
  return journal.jails().flatMap(({ spec, settled, current }) => (settled && !current ? [{ spec, epoch: settled.epoch }] : []))
}

/** Returns whether the jail is wanted running and does not run. */
async function reviveJail(settled: SettledJail, deps: Deps): Promise<boolean> {
  const { spec, epoch } = settled
  const ended = new AbortController()
  const revive = async () => {
    const jail = deps.journal.jail(spec.name)
    // An operation came first.
    if (jail?.settled?.epoch !== epoch || jail.current) return false
    if (jail.settled.wanted !== 'running') return false
    const report = await bringUp(spec, epoch, ended.signal, deps)
    if (ended.signal.aborted) return 'interrupted'
    tell(report, deps)
    // One whose root is gone is drift as any other is, which nobody knows yet.
    return report.jailState === 'stopped' && (await deps.host.hasRoot(spec))
  }
  const isDown = await deps.withJail(spec.name, revive, { yields: ended })
  // What came has its turn first. It may have changed nothing, as a job that comes twice does.
  return isDown === 'interrupted' ? reviveJail(settled, deps) : isDown
}

async function bringUp(spec: JailSpec, epoch: number, ended: AbortSignal, deps: Deps): Promise<JailReport> {
  const facts: JailFacts = {}
  const report = { type: 'jail', host: deps.hostId, jail: spec.name, epoch } as const
  try {
    const reason = await bringUpAsAsked(spec, facts, ended, deps)
    const at = fleetTime().toISOString()
    return { ...report, at, jailState: 'running', jid: null, ...facts, ...(reason ? { reason } : {}) }
  } catch (thrown) {
    const error = toProvostError(thrown)
    if (!ended.aborted)
      deps.log.error({ err: error, jail: spec.name }, 'a jail that is to run could not be brought up and proven')
    // A jail that was seen not to be isolated must not run. That it could not be looked at is no reason to end it.
    const running = error.code === 'isolation_unproven' ? undefined : await deps.host.findJail(spec).catch(() => undefined)
    if (!running && !ended.aborted) await takeDown(spec, deps)
    return {
      ...report,
      at: fleetTime().toISOString(),
      ...facts,
      jailState: running ? 'running' : 'stopped',
      jid: running?.jid ?? null,
      // Nobody may take an isolation that was proven once for one that was proven now.
      reason: running
        ? `It runs, but its isolation could not be proven when its worker started: ${error.message}`
        : `It could not be brought up: ${error.message}`,
    }
  }
}

/**
 * Runs the steps of a start. A jail that ran already but is otherwise than it was asked for, as by somebody's configuration of the
 * host, is ended and started once more, however long it has run. Returns the reason when that was so.
 */
async function bringUpAsAsked(spec: JailSpec, facts: JailFacts, ended: AbortSignal, deps: Deps): Promise<string | undefined> {
  const ran = await deps.host.findJail(spec).catch(() => undefined)
  try {
    for (const step of start) await runStep(step, spec, facts, ended, deps)
    return undefined
  } catch (thrown) {
    const error = toProvostError(thrown)
    if (!ran || ended.aborted || error.code !== 'isolation_unproven') throw error
    deps.log.warn({ err: error, jail: spec.name }, 'a jail runs otherwise than it was asked for, and is started anew')
    await removeJail(spec, deps.host, 'but-root')
    for (const step of start) await runStep(step, spec, facts, ended, deps)
    return `It was ended and started again, for it was found otherwise than it was asked for: ${error.message}`
  }
}

/** Runs a step until it succeeds or fails for good, with the waits of an operation's steps. */
async function runStep(step: Step, spec: JailSpec, facts: JailFacts, ended: AbortSignal, deps: Deps): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await step.run(contextOf(spec, AbortSignal.any([AbortSignal.timeout(step.timeoutMs), ended]), facts, deps))
    } catch (thrown) {
      if (ended.aborted || !toProvostError(thrown).retryable || attempt >= stepRetry.maxAttempts) throw thrown
      await sleep(retryDelayMs(attempt, stepRetry))
    }
  }
}

function contextOf(jail: JailSpec, signal: AbortSignal, facts: JailFacts, deps: Deps): StepContext {
  return {
    host: deps.host,
    worlds: deps.worlds,
    jail,
    neighbours: neighboursOf(deps.journal, jail),
    asker: { operation: `revive-${jail.name}`, record: () => undefined },
    signal,
    learn: (more) => Object.assign(facts, more),
  }
}
