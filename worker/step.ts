import type { Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { WorldStore } from './worlds/world-store.ts'

/** What a step is given. `signal` ends it: by a cancel, by its timeout, or by the second signal to the worker. */
export type StepContext = {
  host: HostRuntime
  worlds: WorldStore
  jail: JailSpec
  signal: AbortSignal
  /** How much of the step is done, from 0 to 1, by count and never by time. */
  progress(fraction: number): void
  /** What the step found out about the jail, for its record. */
  learn(facts: { jid?: number | null; isolation?: Isolation }): void
}

/** One step of a plan: data, with what it does and what takes it back beside each other. Both may be repeated. */
export type Step = {
  name: string
  title: string
  timeoutMs: number
  /** Its share of the percentage, about how long it takes beside the others. */
  weight: number
  run(context: StepContext): Promise<void>
  undo?(context: StepContext): Promise<void>
}
