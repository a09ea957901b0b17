import { readdirSync, readlinkSync } from 'node:fs'
import { type Finding, some } from '../../jails/proofs.ts'
import { processesIn } from '../limits/cgroups.ts'
import { isAlive, type Namespace, namespaceOf, namespaces, ownId, readStatus } from '../processes/processes.ts'
import { idFaults } from './prove-ids.ts'
import { type Subject, sharedWithHost } from './subject.ts'

const looks = 5

/** Every process of the jail is in its namespaces, and the /proc it sees shows these and no other. */
export function proveProcesses(subject: Subject): Finding {
  const { first, processes } = subject
  const shared: Namespace[] = ['pid', 'ipc', 'cgroup']
  const faults = [...shared.flatMap((namespace) => sharedWithHost(first, namespace)), ...idFaults(subject)]

  for (const namespace of namespaces) {
    const its = namespaceOf(first, namespace)
    const strays = processes.filter((pid) => ![its, undefined].includes(namespaceOf(pid, namespace)))
    if (strays.length > 0) faults.push(`process ${some(strays.map(String))} is outside its ${namespace} namespace`)
  }

  // Process 1 of a /proc is the first of the namespace that this /proc was mounted for.
  if (firstSeenBy(first) !== namespaceOf(first, 'pid')) faults.push('sees a /proc that is not of its own namespace')
  const foreign = foreignIn(subject)
  if (foreign.length > 0) faults.push(`sees ${foreign.length} processes that are not its own: ${foreign.slice(0, 5).join(', ')}`)
  return { faults, fine: `sees ${processes.length} ${processes.length === 1 ? 'process' : 'processes'}, all its own` }
}

function firstSeenBy(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/root/proc/1/ns/pid`)
  } catch {
    return undefined
  }
}

/**
 * Returns the ids in the jail's /proc of processes that are not in its cgroup. Processes come and go, so only one that is seen
 * at every look counts. A process that has ended and waits for its parent is in no cgroup any more; a command's parent is on
 * the host.
 */
function foreignIn({ host, jail, first }: Subject): number[] {
  const proc = `/proc/${first}/root/proc`
  let foreign: number[] | undefined
  for (let look = 0; look < looks && foreign?.length !== 0; look++) {
    const shown = readdirSync(proc)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
    const ids = new Set(processesIn(host.cgroups, host.layout.jail(jail.name).cgroup).map((pid) => ownId(readStatus(pid))))
    const now = shown.filter((id) => !ids.has(id) && isAlive(readStatus(id, proc)))
    foreign = foreign?.filter((id) => now.includes(id)) ?? now
  }
  return foreign ?? []
}
