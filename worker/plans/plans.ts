import { type JobName, type JobOf, jobsOf } from '#shared/job.ts'
import type { JailOperationKind } from '#shared/operation.ts'
import type { OperationReport } from '#shared/report.ts'
import { attachNetwork } from './steps/attach-network.ts'
import { cloneRoot } from './steps/clone-root.ts'
import { detachNetwork } from './steps/detach-network.ts'
import { fillWorld } from './steps/fill-world.ts'
import { mountRoot } from './steps/mount-root.ts'
import { proveIsolation } from './steps/prove-isolation.ts'
import { removeRoot } from './steps/remove-root.ts'
import { runCommand } from './steps/run-command.ts'
import { startJail } from './steps/start-jail.ts'
import type { Step } from './steps/step.ts'
import { stopJail } from './steps/stop-jail.ts'

/** Steps that one job runs together, and the state of the jail meanwhile. */
type Part = { job: JobName; jailState: OperationReport['jailState']; steps: readonly Step[] }

export type Plan = {
  /** In the order of the operation's jobs (`jobsOf`), each of which may have several. */
  parts: readonly Part[]
  /** The first step that a client could notice; the operation is bound to this host before it. */
  bindsAt: Step
  /**
   * What a failure or a cancel undoes: the steps that had begun, or all (a restart's jail is down before its start begins).
   * A plan that undoes nothing only goes forward.
   */
  undoes: 'begun' | 'all' | 'nothing'
}

/** A plan as it is written below: what each job of its kind does. */
type PlanOf<K extends JailOperationKind> = Omit<Plan, 'parts'> & {
  jobs: { [Job in JobOf<K>]: readonly Omit<Part, 'job'>[] }
}

const bringUp = [attachNetwork, startJail, runCommand, proveIsolation]
const takeDown = [stopJail, detachNetwork]

/** The steps that bring a stopped jail up: also outside any operation, after a reboot. */
export const start: readonly Step[] = [mountRoot, ...bringUp]

/** The order of all steps: the only place that has it. */
const plans: { [K in JailOperationKind]: PlanOf<K> } = {
  provision: {
    jobs: {
      build: [{ jailState: 'building', steps: [fillWorld, cloneRoot] }],
      start: [{ jailState: 'starting', steps: bringUp }],
    },
    bindsAt: attachNetwork,
    undoes: 'begun',
  },
  start: {
    jobs: { start: [{ jailState: 'starting', steps: start }] },
    bindsAt: mountRoot,
    undoes: 'begun',
  },
  stop: {
    jobs: { stop: [{ jailState: 'stopping', steps: takeDown }] },
    bindsAt: stopJail,
    undoes: 'nothing',
  },
  restart: {
    jobs: {
      restart: [
        { jailState: 'stopping', steps: takeDown },
        { jailState: 'starting', steps: start },
      ],
    },
    bindsAt: stopJail,
    undoes: 'all',
  },
  destroy: {
    jobs: { destroy: [{ jailState: 'destroying', steps: [...takeDown, removeRoot] }] },
    bindsAt: stopJail,
    undoes: 'nothing',
  },
}

/** Returns the plan of a kind; undefined for a version that is not `known`. */
export function planOf(kind: JailOperationKind, version: number, known: readonly number[]): Plan | undefined {
  if (!known.includes(version)) return undefined
  const { jobs, ...plan } = plans[kind]
  const partsOf: Partial<Record<JobName, readonly Omit<Part, 'job'>[]>> = jobs
  return { ...plan, parts: jobsOf[kind].flatMap((job) => (partsOf[job] ?? []).map((part) => ({ job, ...part }))) }
}

export function stepsOf(plan: Plan): Step[] {
  return plan.parts.flatMap(({ steps }) => steps)
}
