import { createHash } from 'node:crypto'
import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

/**
 * The CPUs of a jail with a limit, as cpuset(1) -l takes them: as many as the limit rounded up, side by side from where the
 * jail's name puts it, so that not every jail is on CPU 0. Undefined where the limit leaves no CPU of the host out.
 */
export function cpusOf({ name, limits }: Pick<JailSpec, 'name' | 'limits'>, count: number): string | undefined {
  const width = Math.ceil(limits.cpu)
  if (width >= count) return undefined
  const first = createHash('sha256').update(name).digest().readUInt32BE() % count
  const ids = Array.from({ length: width }, (_, i) => (first + i) % count)
  return ids.sort((a, b) => a - b).join(',')
}

/**
 * Binds a running jail to its CPUs, as often as it is asked for. A boot brings the jail back without. The set is the root set
 * of all that runs in the jail, now and later, which nobody in it can widen, cpuset(2).
 */
export async function ensureCpus(host: FreebsdHost, jail: JailSpec, jid: number, signal: AbortSignal): Promise<void> {
  const { stdout } = await host.run('sysctl', ['-n', 'hw.ncpu'], { signal })
  const cpus = cpusOf(jail, Number(stdout))
  // By number: the name may be another jail's by now.
  if (cpus !== undefined) await host.run('cpuset', ['-l', cpus, '-j', `${jid}`], { signal })
}
