import type { World } from '../config/world.ts'
import type { RunCommand } from '../host/programs/run-command.ts'

export type FillContext<W extends World> = {
  world: W
  /** Empty at first; what is in it afterwards is the world. */
  directory: string
  /** The host's kernel and architecture, like `linux/x64`. */
  platform: string
  run: RunCommand
  signal: AbortSignal
  /** Called with how much is done, from 0 to 1, by count. It may jump; a lower number is not shown. */
  progress(fraction: number): void
}

/**
 * One way to make a world, in a new empty directory at each try.
 * @throws ProvostError; a retryable one for what may work a moment later (a mirror that is away).
 */
export type WorldMethod<W extends World> = (context: FillContext<W>) => Promise<void>
