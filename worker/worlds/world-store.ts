import type { WorldState } from '#shared/host.ts'
import type { WorldId } from '#shared/job.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { CommandRecord } from '../host/programs/run-command.ts'

/** What a store of worlds needs of its host. */
export type WorldHost = Pick<
  HostRuntime,
  | 'platform'
  | 'endProcessesOf'
  | 'stageWorld'
  | 'commitWorld'
  | 'discardStage'
  | 'discardStages'
  | 'listWorlds'
  | 'hasWorld'
  | 'removeWorld'
>

/** A fill in progress, shared by all who wait for it. */
export type Fill = {
  /** Resolves when the world is ready, or rejects with why it could not be filled. */
  done: Promise<void>
  /** Calls `listener` with each new fraction from 0 to 1. Returns what ends the calls. */
  onProgress(listener: (fraction: number) => void): () => void
  /** Removes an operation. When none is left, the fill of a world without `prefill` ends, as if it had never begun. */
  leave(operation: string): void
}

/** Who asks for a world: an operation's attempt, and its log, which gets the commands of the fill. */
export type Asker = { operation: string; record(command: CommandRecord): void }

/** The worlds of one host: what it offers, what is filled, and the fills in progress. */
export interface WorldStore {
  /** Reads what the host has, and removes what a killed worker left half filled. */
  open(): Promise<void>
  states(): WorldState[]
  isReady(world: WorldId): boolean
  /** Looks whether all filled worlds are still in their places; one that was taken away is filled again. */
  look(): void
  /**
   * Starts the fill of a world, or joins the one in progress; returns undefined when the world is ready.
   * @throws ProvostError the failure of a fill that the asker waited for, once: asking again starts a new fill; `poisoned`;
   * `world_source_missing` for a world that the host's configuration does not have.
   */
  fill(world: WorldId, asker: Asker): Fill | undefined
  /** Removes an operation from the fill of a world, if there is one. */
  leave(world: WorldId, operation: string): void
  /** Starts the fills of all worlds with `prefill`. */
  prefill(): void
  /** Returns the filled worlds that the configuration no longer has, by name and definition. Jails may still use them. */
  unlisted(): WorldId[]
  /** Removes a filled world; from now on no jail is made from it. @throws ProvostError `resource_busy` while jails use it. */
  remove(world: WorldId): Promise<void>
  /** Ends the fills in progress. */
  close(): Promise<void>
}

/** Returns the key of a world in maps: its name and definition. */
export function keyOf({ name, digest }: WorldId): string {
  return `${name} ${digest}`
}
