import type { JailSpec } from '#shared/job.ts'
import type { LinuxHost } from '../linux-host.ts'
import { type Namespace, namespaceOf } from '../processes/processes.ts'

/** A running jail to look at: `first` is its first process, `processes` all in its cgroup, by their ids on the host. */
export type Subject = { host: LinuxHost; jail: JailSpec; first: number; processes: number[]; signal: AbortSignal }

/** Returns a fault when a process shares a namespace with the host. */
export function sharedWithHost(pid: number, namespace: Namespace): string[] {
  return namespaceOf('self', namespace) === namespaceOf(pid, namespace) ? [`shares the host's ${namespace} namespace`] : []
}
