import { createHash } from 'node:crypto'
import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

/**
 * Returns the CPUs of a jail with a limit, in the form of cpuset(1) -l: as many as the limit rounded up, side by side, from a CPU
 * that depends on the jail's name, so that not every jail is on CPU 0. Undefined when the limit needs all CPUs of the host.
 */
export function cpusOf({ name, limits }: Pick<JailSpec, 'name' | 'limits'>, count: number): string | undefined {
  const width = Math.ceil(limits.cpu)
  if (width >= count) return undefined
  const first = createHash('sha256').update(name).digest().readUInt32BE() % count
  const ids = Array.from({ length: width }, (_, i) => (first + i) % count)
  return ids.sort((a, b) => a - b).join(',')
}

/**
 * Binds a running jail to its CPUs; after a boot it must be done again. The set is the root set of all that runs in the jail, now
 * and later, which nobody in the jail can widen, cpuset(2).
 */
export async function ensureCpus(host: FreebsdHost, jail: JailSpec, jid: number, signal: AbortSignal): Promise<void> {
  const { stdout } = await host.run('sysctl', ['-n', 'hw.ncpu'], { signal })
  const cpus = cpusOf(jail, Number(stdout))
  // By jid: another jail may have the name by now.
  if (cpus !== undefined) await host.run('cpuset', ['-l', cpus, '-j', `${jid}`], { signal })
}
