import type { CommandState, Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { HostRuntime } from '../../host/host-runtime.ts'
import type { Asker, WorldStore } from '../../worlds/world-store.ts'

/** What a step learnt of the jail, for its record. */
export type JailFacts = { jid?: number | null; isolation?: Isolation; commandState?: CommandState }

/** What a step works with. `signal` ends it: on a cancel, at its timeout, or on the second signal to the worker. */
export type StepContext = {
  host: HostRuntime
  worlds: WorldStore
  jail: JailSpec
  /** The other jails of this host that have an address of it in their specs, as they should not. */
  neighbours: JailSpec[]
  asker: Asker
  signal: AbortSignal
  learn(facts: JailFacts): void
}

/** What a step that takes a jail down works with: it is run outside any operation, too. */
export type TakeDownContext = Pick<StepContext, 'host' | 'jail' | 'signal' | 'learn'>

/** One step of a plan, with its undo beside it. Both may be repeated, unless `repeatable` is false. */
export type Step = {
  /** The journal knows a step by it, so a plan has it once: a second one of the same name would be skipped as done. */
  name: string
  title: string
  timeoutMs: number
  /** Its share of the percentage: about how long it takes in proportion to the others. */
  weight: number
  /** False: what was begun and not ended is undone before the step runs again. */
  repeatable?: false
  run(context: StepContext): Promise<void>
  undo?(context: StepContext): Promise<void>
}

export type TakeDownStep = Omit<Step, 'run'> & { run: (context: TakeDownContext) => Promise<void> }
