import type { FileHandle } from 'node:fs/promises'
import type { Isolation } from '#shared/jail.ts'
import type { JailSpec, WorldId } from '#shared/job.ts'

/** One thing that a host must have or be, and what to do when it is not so. */
export type Check = { name: string; ok: boolean; detail: string; remedy?: string }

/** A world in its place, and how long its fill took. Undefined: it is of an older worker. */
export type FilledWorld = WorldId & { fillMs?: number }

/** What a host must be able to do, and what it supports. Two implementations: `freebsd` and `linux`. */
export interface HostRuntime {
  readonly runtime: 'freebsd' | 'linux'
  /** Kernel and machine, like `linux/x64`: worlds of one name are the same thing only on one platform. */
  readonly platform: string
  readonly supports: { diskLimit: boolean }

  /** Everything this host needs to have; never throws for what is missing. */
  check(): Promise<Check[]>
  /**
   * Makes the directories and learns the host's facts. Gives the directory that the worker keeps its own files in.
   * @throws ProvostError `host_unfit` naming all that is missing.
   */
  open(): Promise<string>

  /** Changes with every boot: what a step did to mounts, links and processes is gone then. */
  bootId(): Promise<string>
  /** Opens a file and takes the kernel's lock on it, which is held until it is closed. Undefined: another opener has it. */
  lockFile(path: string): Promise<FileHandle | undefined>
  /** Ends every process that an earlier worker of this host started for an operation or a fill and left running. */
  endPredecessor(): Promise<void>
  /** The same of this worker for one operation or fill: also of what has left its process group. @throws `resource_busy` */
  endProcessesOf(operation: string): Promise<void>

  /** An empty directory, beside the filled worlds, to fill one in. */
  stageWorld(world: WorldId): Promise<string>
  /** Puts a filled stage in its place in one rename. */
  commitWorld(world: FilledWorld): Promise<void>
  /** Removes the stage of a world, with everything mounted below it undone first; nothing there is fine. */
  discardStage(world: WorldId): Promise<void>
  /** Removes every stage that a killed worker left, and the rest of every world that it was removing. */
  discardStages(): Promise<void>
  listWorlds(): Promise<FilledWorld[]>
  /**
   * Removes a filled world; nothing there is fine. Jails that were made from it must be gone, except where they are copies.
   * @throws ProvostError `resource_busy` for one that something was cloned from, which stays as it is.
   */
  removeWorld(world: WorldId): Promise<void>
  /** Where a filled world's tree is. */
  worldTree(world: WorldId): string

  // Each may be repeated: an `ensure` of what is there and a `remove` of what is not are done at once.
  ensureRoot(jail: JailSpec, signal: AbortSignal): Promise<void>
  removeRoot(jail: JailSpec, signal: AbortSignal): Promise<void>
  ensureNetwork(jail: JailSpec, signal: AbortSignal): Promise<void>
  removeNetwork(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Brings the jail up, with its limits on it from its first process. Gives its jid (on Linux its first process). */
  ensureJail(jail: JailSpec, signal: AbortSignal): Promise<number>
  removeJail(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Starts the jail's command: `/bin/sh /etc/rc` where the world has it is waited for, any other is not. */
  startCommand(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Ends what a `startCommand` that was cut short has begun, if anything is left of it that a second one would be beside. */
  endCommand(jail: JailSpec, signal: AbortSignal): Promise<void>
  /** Whether it runs, by what the host says and not by what was asked. */
  findJail(jail: JailSpec): Promise<{ jid: number } | undefined>
  /** The jails of this host that run, by name, in one look. Never those of another root. */
  listJails(): Promise<Map<string, { jid: number }>>
  /** Whether the jail's root is there, mounted or not. */
  hasRoot(jail: JailSpec): Promise<boolean>
  /** The file on the host that the jail's processes print to. */
  consoleOf(jail: JailSpec): string
  /** Looks at the running jail from outside, with no program of its own world. */
  proveIsolation(jail: JailSpec, signal: AbortSignal): Promise<Isolation>
}
