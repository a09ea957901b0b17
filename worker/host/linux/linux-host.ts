import type { JailSpec } from '#shared/job.ts'
import type { WorkerConfig } from '../../config/config.ts'
import type { RunCommand } from '../run-command.ts'
import type { OciSpec } from './jail/oci-spec.ts'
import type { Layout } from './layout.ts'
import type { Cgroups } from './limits/cgroups.ts'

/** What every part of the Linux runtime works with. */
export type LinuxHost = {
  run: RunCommand
  config: WorkerConfig
  layout: Layout
  cgroups: Cgroups
  /** Changes the specification of a jail before it starts: how the tests break one. */
  amend(spec: OciSpec, jail: JailSpec): OciSpec
  /** One at a time: who looks whether the bridge is there or unused and acts on it. */
  bridgeLock<T>(work: () => Promise<T>): Promise<T>
  /** Jails being started: while there are any, no directory that they share is removed. */
  starting: { count: number }
}
