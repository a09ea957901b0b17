import pLimit from 'p-limit'
import type { Logger } from 'pino'
import type { Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { JailReport } from '#shared/report.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { Journal } from './journal.ts'
import { start } from './plans.ts'
import type { StepContext } from './step.ts'
import type { WorldStore } from './worlds/world-store.ts'

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
 * operation was in the middle of is left to that operation, whose job comes again; what an undo had left is tried again.
 */
export async function reviveJails(found: SettledJail[], deps: Deps): Promise<void> {
  const slots = pLimit(atOnce)
  await Promise.all(found.map((jail) => slots(() => reviveJail(jail, deps).catch(toldLater(jail, deps)))))
}

export type SettledJail = { spec: JailSpec; epoch: number }

/** The jails that no operation was at work on: to be looked up before any job is taken. */
export function settledJails(journal: Journal): SettledJail[] {
  return journal.jails().flatMap(({ spec, settled, current }) => (settled && !current ? [{ spec, epoch: settled.epoch }] : []))
}

/** Redis may be full or gone; the jail is as it is to be all the same. */
function toldLater({ spec }: SettledJail, { log }: Deps) {
  return (error: unknown) => log.error({ err: error, jail: spec.name }, 'how a jail stands could not be reported')
}

async function reviveJail({ spec, epoch }: SettledJail, deps: Deps): Promise<void> {
  await deps.withJail(spec.name, async () => {
    const jail = deps.journal.jail(spec.name)
    // An operation that came first has seen to the jail.
    if (jail?.settled?.epoch !== epoch || jail.current) return
    if (jail.settled.wanted === 'gone') await removeLeftovers(spec, deps)
    if (jail.settled.wanted === 'running') await deps.send(await bringUp(spec, epoch, deps))
  })
}

async function bringUp(spec: JailSpec, epoch: number, deps: Deps): Promise<JailReport> {
  const facts: { jid?: number | null; isolation?: Isolation } = {}
  const report = { type: 'jail', host: deps.hostId, jail: spec.name, epoch } as const
  try {
    for (const step of start) await step.run(contextOf(spec, step.timeoutMs, facts, deps))
    return { ...report, at: new Date().toISOString(), jailState: 'running', jid: null, ...facts }
  } catch (error) {
    deps.log.error({ err: error, jail: spec.name }, 'a jail that is to run could not be started')
    const found = await deps.host.findJail(spec).catch(() => undefined)
    const jailState = found ? 'running' : 'stopped'
    return { ...report, at: new Date().toISOString(), ...facts, jailState, jid: found?.jid ?? null }
  }
}

async function removeLeftovers(spec: JailSpec, deps: Deps): Promise<void> {
  try {
    await deps.host.removeJail(spec, AbortSignal.timeout(60_000))
    await deps.host.removeNetwork(spec, AbortSignal.timeout(60_000))
    await deps.host.removeRoot(spec, AbortSignal.timeout(600_000))
    await deps.journal.forget(spec.name)
    deps.log.info({ jail: spec.name }, 'removed what an undo had left')
  } catch (error) {
    deps.log.error({ err: error, jail: spec.name }, 'what an undo had left could still not be removed')
  }
}

function contextOf(jail: JailSpec, timeoutMs: number, facts: object, deps: Deps): StepContext {
  return {
    host: deps.host,
    worlds: deps.worlds,
    jail,
    asker: { operation: `revive-${jail.name}`, record: () => undefined },
    signal: AbortSignal.timeout(timeoutMs),
    learn: (learnt) => Object.assign(facts, learnt),
  }
}
