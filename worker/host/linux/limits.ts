import { join } from 'node:path'
import type { Limits } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { type Cgroups, readValue, setValue } from './cgroups.ts'
import type { LinuxHost } from './linux-host.ts'

const periodUs = 100_000
const pageBytes = 4_096

/** What the kernel holds a jail to; undefined where it holds it to nothing. */
export type HeldLimits = { memory: number | undefined; cpu: number | undefined; processes: number | undefined }

/**
 * Limits the jail's share of the CPU. Not in its specification, as memory and processes are: a small quota there would slow
 * runc's own start of the jail more than all the rest takes. No process of the client runs before this one.
 */
export function limitCpu({ cgroups, layout }: LinuxHost, jail: JailSpec): void {
  const directory = cgroups.directory('cpu', layout.jail(jail.name).cgroup) ?? ''
  const quotaUs = cpuQuotaUs(jail.limits.cpu)
  if (cgroups.version === 2) {
    setValue(join(directory, 'cpu.max'), `${quotaUs} ${periodUs}`)
  } else {
    setValue(join(directory, 'cpu.cfs_period_us'), `${periodUs}`)
    setValue(join(directory, 'cpu.cfs_quota_us'), `${quotaUs}`)
  }
}

export function readLimits(cgroups: Cgroups, cgroup: string): HeldLimits {
  const file = (controller: 'memory' | 'cpu' | 'pids', name: string) =>
    readValue(join(cgroups.directory(controller, cgroup) ?? '/nonexistent', name))
  const processes = numberOf(file('pids', 'pids.max'))
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

/** What a promise comes to in the kernel's own steps: whole pages and whole microseconds of each period. */
export function asHeld(limits: Limits): HeldLimits {
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
