import type { JobName } from '#shared/job.ts'
import { JailOperationKind } from '#shared/operation.ts'
import type { OperationReport } from '#shared/report.ts'
import type { Step } from './step.ts'
import { attachNetwork } from './steps/attach-network.ts'
import { cloneRoot } from './steps/clone-root.ts'
import { detachNetwork } from './steps/detach-network.ts'
import { fillWorld } from './steps/fill-world.ts'
import { mountRoot } from './steps/mount-root.ts'
import { proveIsolation } from './steps/prove-isolation.ts'
import { removeRoot } from './steps/remove-root.ts'
import { runCommand } from './steps/run-command.ts'
import { startJail } from './steps/start-jail.ts'
import { stopJail } from './steps/stop-jail.ts'

/** Steps that one job runs together, and what the jail is called meanwhile. */
export type Part = { job: JobName; jailState: OperationReport['jailState']; steps: readonly Step[] }

export type Plan = {
  parts: readonly Part[]
  /** The first step that a client could notice; the operation is bound to this host before it. */
  bindsAt: Step
  /**
   * What a failure or a cancel takes back: the steps that had begun, or all (a restart's jail is down before its start
   * begins). A plan that undoes nothing only goes forward.
   */
  undoes: 'begun' | 'all' | 'nothing'
  /** What its success leaves. */
  leaves: 'running' | 'stopped' | 'gone'
}

const bringUp = [attachNetwork, startJail, runCommand, proveIsolation]
const takeDown = [stopJail, detachNetwork]

/** What brings a stopped jail up: also outside any operation, after a reboot. */
export const start: readonly Step[] = [mountRoot, ...bringUp]

/** The order of all steps, said once. */
const plans: Record<JailOperationKind, Plan> = {
  provision: {
    parts: [
      { job: 'build', jailState: 'building', steps: [fillWorld, cloneRoot] },
      { job: 'start', jailState: 'starting', steps: bringUp },
    ],
    bindsAt: attachNetwork,
    undoes: 'begun',
    leaves: 'running',
  },
  start: {
    parts: [{ job: 'start', jailState: 'starting', steps: start }],
    bindsAt: mountRoot,
    undoes: 'begun',
    leaves: 'running',
  },
  stop: {
    parts: [{ job: 'stop', jailState: 'stopping', steps: takeDown }],
    bindsAt: stopJail,
    undoes: 'nothing',
    leaves: 'stopped',
  },
  restart: {
    parts: [
      { job: 'restart', jailState: 'stopping', steps: takeDown },
      { job: 'restart', jailState: 'starting', steps: start },
    ],
    bindsAt: stopJail,
    undoes: 'all',
    leaves: 'running',
  },
  destroy: {
    parts: [{ job: 'destroy', jailState: 'destroying', steps: [...takeDown, removeRoot] }],
    bindsAt: stopJail,
    undoes: 'nothing',
    leaves: 'gone',
  },
}

/** The plan of a kind; undefined in a version that is not among the `known` ones. */
export function planOf(kind: JailOperationKind, version: number, known: readonly number[]): Plan | undefined {
  return known.includes(version) ? plans[kind] : undefined
}

/** The kind of operation whose plan has just these steps. */
export function kindOf(steps: readonly { name: string }[]): JailOperationKind | undefined {
  const namesOf = (of: readonly { name: string }[]) => of.map(({ name }) => name).join(' ')
  return JailOperationKind.options.find((kind) => namesOf(stepsOf(plans[kind])) === namesOf(steps))
}

export function stepsOf(plan: Plan): Step[] {
  return plan.parts.flatMap(({ steps }) => steps)
}
