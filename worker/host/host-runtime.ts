import type { FileHandle } from 'node:fs/promises'
import type { RuntimeName, Supports } from '#shared/host.ts'
import type { CommandState, Isolation } from '#shared/jail.ts'
import type { JailSpec, WorldId } from '#shared/job.ts'
import type { FilledWorld, OnUnreadable } from './files/world-ids.ts'

/** One thing that a host must have or be, and what to do when it is not so. */
export type Check = { name: string; ok: boolean; detail: string; remedy?: string }

/** What a host must be able to do, and what it supports. Each runtime implements it. */
export interface HostRuntime {
  readonly runtime: RuntimeName
  /** Kernel and architecture, like `linux/x64`: worlds of one name are the same only on one platform. */
  readonly platform: string
  readonly supports: Supports

  /** Checks everything that this host needs to have; never throws for what is missing. */
  check(): Promise<Check[]>
  /**
   * Makes the directories and reads the host's facts. Returns the directory for the worker's own files.
   * @throws ProvostError `host_unfit` naming all that is missing.
   */
  open(): Promise<string>

  /** Returns an id that changes with every boot: what a step did to mounts, links and processes is gone then. */
  bootId(): Promise<string>
  /** Opens a file with the kernel's lock on it, which lasts until it is closed. Returns undefined when another has the lock. */
  lockFile(path: string): Promise<FileHandle | undefined>
  /** Ends every process that an earlier worker of this host started for an operation or a fill and left running. */
  endPredecessor(): Promise<void>
  /** The same for one operation or fill of this worker, also outside its process group. @throws ProvostError `resource_busy` */
  endProcessesOf(operation: string): Promise<void>

  /** Makes an empty directory, beside the filled worlds, to fill a world in. */
  stageWorld(world: WorldId): Promise<string>
  /**
   * Puts a filled stage in its place in one rename; where the world is whole already, discards the stage. Jails go on over what is
   * left of one that is not whole.
   */
  commitWorld(world: FilledWorld): Promise<void>
  /** Removes the stage of a world, if there is one, after unmounting everything below it. */
  discardStage(world: WorldId): Promise<void>
  /** Removes every stage that a killed worker left, and what is left of every world that it was removing. */
  discardStages(): Promise<void>
  /** Returns the filled worlds. The id of one that cannot be read is set aside, so that it is filled anew. */
  listWorlds(onUnreadable?: OnUnreadable): Promise<FilledWorld[]>
  /** Whether a filled world is still in its place, with what jails are made from. */
  hasWorld(world: WorldId): boolean
  /**
   * Removes a filled world, if it is there. Jails that were made from it must be gone, except where they are copies.
   * @throws ProvostError `resource_busy` for a world that something was cloned from, which is not touched.
   */
  removeWorld(world: WorldId): Promise<void>
  /** Returns where a filled world's tree is. */
  worldTree(world: WorldId): string

  // Each may be repeated: an `ensure` of what is there and a `remove` of what is not are done at once.
  /** Makes the jail's root from its world, and mounts it. */
  ensureRoot(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Mounts a root that was made before, and never makes one: it has the client's files. @throws ProvostError `not_built` */
  mountRoot(jail: JailSpec, signal: AbortSignal): Promise<void>
  removeRoot(jail: JailSpec, signal: AbortSignal): Promise<void>
  ensureNetwork(jail: JailSpec, signal: AbortSignal): Promise<void>
  removeNetwork(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Whether anything of the jail's network is on the host, with its addresses or about to get them. */
  hasNetwork(jail: JailSpec, signal: AbortSignal): Promise<boolean>
  /** Starts the jail, with its limits from its first process on. Returns its jid (on Linux the id of its first process). */
  ensureJail(jail: JailSpec, signal: AbortSignal): Promise<number>
  removeJail(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Starts the jail's command. Waits for `/bin/sh /etc/rc`, the default where the world has it, and for no other. */
  startCommand(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Ends what a `startCommand` that was cut short has begun, should any of it run beside what a second one starts. */
  endCommand(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Returns how the own command of a running jail fares; undefined where it has none. `jid`: of the jail, where it is known. */
  commandStateOf(jail: JailSpec, jid?: number): Promise<CommandState | undefined>
  /** Returns the jail if it runs, by what the host says and not by what was asked for. */
  findJail(jail: JailSpec): Promise<{ jid: number } | undefined>
  /** Returns the jails of this host that run, by name, in one look. Never those of another root. */
  listJails(): Promise<Map<string, { jid: number }>>
  /** Returns the names of the jails that have processes here, as the kernel has them: also of those whose files are gone. */
  inhabitedJails(): Promise<string[]>
  /** Returns which of these running jails lack what the host had given them of its network: the link, or the addresses. */
  unlinkedJails(jails: JailSpec[]): Promise<Set<string>>
  /** Whether the jail's root is there, mounted or not. */
  hasRoot(jail: JailSpec): Promise<boolean>
  /**
   * Looks, without changing anything, whether a jail that was made before could be started.
   * @throws ProvostError `not_built` when its root is gone, `address_not_in_pool`.
   */
  requireStartable(jail: JailSpec): Promise<void>
  /** Returns the file on the host that has what the jail's processes print. */
  consoleOf(jail: JailSpec): string
  /** Proves the isolation of the running jail from outside, with no program of its own world. */
  proveIsolation(jail: JailSpec, signal: AbortSignal): Promise<Isolation>
}

/** Of a host that is there for a trial only. */
export interface TrialRuntime extends HostRuntime {
  /** Removes what `open` has made. Its jails and worlds must be gone. */
  discard(): Promise<void>
}
