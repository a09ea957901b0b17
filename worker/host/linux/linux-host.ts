import type { Supports } from '#shared/host.ts'
import type { JailSpec } from '#shared/job.ts'
import type { WorkerConfig } from '../../config/config.ts'
import type { RunCommand } from '../programs/run-command.ts'
import type { OciSpec } from './jail/oci-spec.ts'
import type { Layout } from './layout.ts'
import type { Cgroups } from './limits/cgroups.ts'

/** What every part of the Linux runtime works with. */
export type LinuxHost = {
  run: RunCommand
  config: WorkerConfig
  supports: Supports
  layout: Layout
  cgroups: Cgroups
  /** Changes the specification of a jail before it starts: tests break a jail with it. */
  amend(spec: OciSpec, jail: JailSpec): OciSpec
  /** Runs `work` alone: it looks whether the bridge is there or unused, and acts on that. */
  bridgeLock<T>(work: () => Promise<T>): Promise<T>
  /** How many jails are being started: while any is, no directory that they share is removed. */
  starting: { count: number }
}
