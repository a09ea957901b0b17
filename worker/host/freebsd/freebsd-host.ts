import type { WorkerConfig } from '../../config/config.ts'
import type { RunCommand } from '../programs/run-command.ts'
import type { Layout } from './layout.ts'

/** How long to wait, in milliseconds. */
export type Patience = {
  /** For the kernel to let go of a removed jail. */
  dying: number
  /** For a dataset that is still in use. */
  busy: number
  /** For exec.stop, before the jail is removed without it. */
  stop: number
  /** Between two looks. */
  poll: number
}

/** What every part of the FreeBSD runtime works with. */
export type FreebsdHost = {
  run: RunCommand
  config: WorkerConfig
  /** Whether its jails, and its bridge, come back at boot. */
  atBoot: boolean
  /** The host's own /etc. */
  etc: string
  layout: Layout
  patience: Patience
  bootId(): Promise<string>
}
