import type { WorldState } from '#shared/host.ts'
import type { WorldId } from '#shared/job.ts'
import type { CommandRecord } from '../host/run-command.ts'

/** A fill under way, shared by all who wait for it. */
export type Fill = {
  /** Settles when the world is ready, or rejects with why it could not be filled. */
  done: Promise<void>
  /** Calls `listener` with each new fraction from 0 to 1. Gives what ends that. */
  onProgress(listener: (fraction: number) => void): () => void
  /** An operation no longer waits. When none is left, the fill of a world without `prefill` ends, as if it had never begun. */
  leave(operation: string): void
}

/** Who asks for a world: an operation's attempt, and where its log keeps the commands of the fill. */
export type Asker = { operation: string; record(command: CommandRecord): void }

/** The worlds of one host: what it offers, what is filled, and the fills. */
export interface WorldStore {
  /** Looks at what the host has; what a killed worker left half filled is removed. */
  open(): Promise<void>
  states(): WorldState[]
  isReady(world: WorldId): boolean
  /**
   * Starts the fill of a world, or joins the one under way. An asker who waited for a fill that failed gets that failure,
   * once; whoever asks after it starts a new fill. Gives undefined when the world is ready.
   * @throws ProvostError `world_source_missing` for a world that the host's configuration does not have.
   */
  fill(world: WorldId, asker: Asker): Fill | undefined
  /** An operation no longer waits for a world: it leaves the fill under way, if there is one. */
  leave(world: WorldId, operation: string): void
  /** Starts the fills of all worlds with `prefill`. */
  prefill(): void
  /** The filled worlds that the configuration no longer has, by name and definition. Jails may still be made of them. */
  unlisted(): WorldId[]
  /** No jail is made from it from the call on. @throws ProvostError `resource_busy` while jails are made of it. */
  remove(world: WorldId): Promise<void>
  /** Ends the fills under way. */
  close(): Promise<void>
}
