import { type JobName, type JobOf, jobsOf, type planVersion } from '#shared/job.ts'
import { type JailOperationKind, onlyGoesForward } from '#shared/operation.ts'
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
import type { Step, TakeDownStep } from './steps/step.ts'
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

/** A plan as it is written below: what each job of its kind does. It undoes nothing where its kind only goes forward. */
type PlanOf<K extends JailOperationKind> = Pick<Plan, 'bindsAt'> & {
  undoes?: 'all'
  jobs: { [Job in JobOf<K>]: readonly Omit<Part, 'job'>[] }
}

const bringUp = [attachNetwork, startJail, runCommand, proveIsolation]

/** The steps that bring a stopped jail up: also outside any operation, after a reboot. */
export const start: readonly Step[] = [mountRoot, ...bringUp]

/** The steps that take a jail off its host, except its root, and with it: also outside any operation, for what is left of one. */
export const takeDown: readonly TakeDownStep[] = [stopJail, detachNetwork]
export const remove: readonly TakeDownStep[] = [...takeDown, removeRoot]

type Plans = { [K in JailOperationKind]: PlanOf<K> }

/** The order of all steps: the only place that has it. */
const plans: Plans = {
  provision: {
    jobs: {
      build: [{ jailState: 'building', steps: [fillWorld, cloneRoot] }],
      start: [{ jailState: 'starting', steps: bringUp }],
    },
    bindsAt: attachNetwork,
  },
  start: {
    jobs: { start: [{ jailState: 'starting', steps: start }] },
    bindsAt: mountRoot,
  },
  stop: {
    jobs: { stop: [{ jailState: 'stopping', steps: takeDown }] },
    bindsAt: stopJail,
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
    jobs: { destroy: [{ jailState: 'destroying', steps: remove }] },
    bindsAt: stopJail,
  },
}

/** By version. Those of an earlier one stay until no host has an operation of it in its queues or its journal. */
const versions: { [version: number]: Plans } & Record<typeof planVersion, Plans> = { 1: plans }

/** The versions of plans that this worker can carry out. */
export const knownPlans: readonly number[] = Object.keys(versions).map(Number)

/** Returns the plan of a kind; undefined for a version that is not `known`. */
export function planOf(kind: JailOperationKind, version: number, known: readonly number[]): Plan | undefined {
  if (!known.includes(version)) return undefined
  // A journal may have one of a later worker, which is only shown then.
  const { jobs, bindsAt, undoes = 'begun' } = (versions[version] ?? plans)[kind]
  const partsOf: Partial<Record<JobName, readonly Omit<Part, 'job'>[]>> = jobs
  const parts = jobsOf[kind].flatMap((job) => (partsOf[job] ?? []).map((part) => ({ job, ...part })))
  return { parts, bindsAt, undoes: onlyGoesForward(kind) ? 'nothing' : undoes }
}

export function stepsOf(plan: Plan): Step[] {
  return plan.parts.flatMap(({ steps }) => steps)
}
