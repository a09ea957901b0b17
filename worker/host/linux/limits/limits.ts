import { join } from 'node:path'
import type { Limits } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { waitUntil } from '../../wait-until.ts'
import { tasksForRunc } from '../jail/oci-spec.ts'
import type { LinuxHost } from '../linux-host.ts'
import { type Cgroups, readValue, setValue } from './cgroups.ts'

const periodUs = 100_000
const pageBytes = 4_096
const enterMs = 30_000

/** The limits that the kernel enforces; undefined where it enforces none. */
type EnforcedLimits = { memory: number | undefined; cpu: number | undefined; processes: number | undefined }

/** Limits the jail's share of the CPU and its number of tasks: processes and their threads. */
export function applyLimits({ cgroups, layout }: LinuxHost, jail: JailSpec): void {
  const { cgroup } = layout.jail(jail.name)
  const directory = cgroups.directory('cpu', cgroup) ?? ''
  const quotaUs = cpuQuotaUs(jail.limits.cpu)
  if (cgroups.version === 2) {
    setValue(join(directory, 'cpu.max'), `${quotaUs} ${periodUs}`)
  } else {
    setValue(join(directory, 'cpu.cfs_period_us'), `${periodUs}`)
    setValue(join(directory, 'cpu.cfs_quota_us'), `${quotaUs}`)
  }
  limitTasks(cgroups, cgroup, jail.limits.processes)
}

/** Runs what makes runc enter the jail. A jail with a small limit of tasks gets some more, until `hasEntered`. */
export async function withTasksForRunc<T>(
  { cgroups, layout }: LinuxHost,
  jail: JailSpec,
  hasEntered: () => boolean,
  work: () => Promise<T>,
): Promise<T> {
  if (jail.limits.processes >= tasksForRunc) return work()
  const { cgroup } = layout.jail(jail.name)
  limitTasks(cgroups, cgroup, jail.limits.processes + tasksForRunc)
  let ended = false
  const working = work().finally(() => {
    ended = true
  })
  // It may fail before it is awaited.
  working.catch(() => {})
  await waitUntil(() => ended || hasEntered(), enterMs)
  limitTasks(cgroups, cgroup, jail.limits.processes)
  return working
}

function limitTasks(cgroups: Cgroups, cgroup: string, count: number): void {
  setValue(join(cgroups.directory('pids', cgroup) ?? '', 'pids.max'), `${count + tasksBeside(cgroups)}`)
}

/** How many tasks in the jail's cgroup are not the jail's: in v2 a child for the console cannot leave out one controller. */
function tasksBeside({ version }: Cgroups): number {
  return version === 2 ? 1 : 0
}

export function readLimits(cgroups: Cgroups, cgroup: string): EnforcedLimits {
  const file = (controller: 'memory' | 'cpu' | 'pids', name: string) =>
    readValue(join(cgroups.directory(controller, cgroup) ?? '/nonexistent', name))
  const tasks = numberOf(file('pids', 'pids.max'))
  const processes = tasks && tasks - tasksBeside(cgroups)
  if (cgroups.version === 2) {
    const [quota, period] = (file('cpu', 'cpu.max') ?? 'max').split(' ')
    const memory = numberOf(file('memory', 'memory.max'))
    return { processes, memory, cpu: quota === 'max' ? undefined : Number(quota) / Number(period) }
  }
  const quota = Number(file('cpu', 'cpu.cfs_quota_us'))
  const period = Number(file('cpu', 'cpu.cfs_period_us'))
  const memory = numberOf(file('memory', 'memory.limit_in_bytes'))
  return { processes, memory, cpu: quota > 0 ? quota / period : undefined }
}

/** Returns limits in the kernel's own steps: whole pages, and whole microseconds of each period. */
export function inKernelSteps(limits: Limits): EnforcedLimits {
  return {
    memory: Math.floor(limits.memory / pageBytes) * pageBytes,
    cpu: cpuQuotaUs(limits.cpu) / periodUs,
    processes: limits.processes,
  }
}

function cpuQuotaUs(cores: number): number {
  return Math.round(cores * periodUs)
}

function numberOf(value: string | undefined): number | undefined {
  return value === undefined || value === 'max' ? undefined : Number(value)
}
