import type { Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { HostRuntime } from '../../host/host-runtime.ts'
import type { Asker, WorldStore } from '../../worlds/world-store.ts'

/** What a step found out about the jail, for its record. */
export type JailFacts = { jid?: number | null; isolation?: Isolation }

/** What a step is given. `signal` ends it: by a cancel, by its timeout, or by the second signal to the worker. */
export type StepContext = {
  host: HostRuntime
  worlds: WorldStore
  jail: JailSpec
  asker: Asker
  signal: AbortSignal
  learn(facts: JailFacts): void
}

/** One step of a plan: data, with what it does and what takes it back beside each other. Both may be repeated, unless said. */
export type Step = {
  name: string
  title: string
  timeoutMs: number
  /** Its share of the percentage, about how long it takes beside the others. */
  weight: number
  /** When it was begun and not ended, it is undone before it runs again. */
  repeatable?: false
  run(context: StepContext): Promise<void>
  undo?(context: StepContext): Promise<void>
}
