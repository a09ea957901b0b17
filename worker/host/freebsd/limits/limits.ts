import type { Limits } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

/**
 * The rules of rctl(8) that hold a jail to its limits. pcpu is in percent of one core; a rule takes whole numbers, and 0
 * would stop everything.
 */
export function limitRules({ name, limits }: { name: string; limits: Limits }): string[] {
  return [
    `jail:${name}:memoryuse:deny=${limits.memory}`,
    `jail:${name}:maxproc:deny=${limits.processes}`,
    `jail:${name}:pcpu:deny=${Math.max(1, Math.round(limits.cpu * 100))}`,
  ]
}

/**
 * Holds a name to its limits, whether a jail of that name is there or not: so they hold from its first process. A rule that
 * is there is not replaced by another amount but joined by it, rctl(8), so all are removed first.
 */
export async function ensureLimits(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  await removeRules(host, `jail:${jail.name}`, signal)
  for (const rule of limitRules(jail)) await host.run('rctl', ['-a', rule], { signal })
}

/** Whether a name is held to exactly these limits. */
export async function holdsLimits(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<boolean> {
  return sameRules(await readRules(host, jail.name, signal), limitRules(jail))
}

/**
 * Removes the rules that match a filter of rctl(8), like `jail:NAME`. They are keyed by the name and outlive the jail: the next
 * of that name would inherit them.
 */
export async function removeRules(host: FreebsdHost, filter: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await host.run('rctl', ['-r', filter], { signal, okExitCodes: [1] })
  if (exitCode === 0 || /: No such process$/m.test(stderr)) return
  // For the message of the failure as it is made everywhere else.
  await host.run('rctl', ['-r', filter], { signal })
}

/** The rules in force for a name, as `rctl jail:NAME` prints them. */
export async function readRules(host: FreebsdHost, name: string, signal: AbortSignal): Promise<string[]> {
  const { stdout } = await host.run('rctl', [`jail:${name}`], { signal })
  return stdout.split('\n').filter(Boolean)
}

export function sameRules(a: string[], b: string[]): boolean {
  return [...a].sort().join('\n') === [...b].sort().join('\n')
}
