import type { Limits } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

/**
 * Returns the rules of rctl(8) for a jail's limits. pcpu is in percent of one core; a rule takes whole numbers, and 0 would stop
 * everything.
 */
export function limitRules({ name, limits }: { name: string; limits: Limits }): string[] {
  return [
    `jail:${name}:memoryuse:deny=${limits.memory}`,
    `jail:${name}:maxproc:deny=${limits.processes}`,
    `jail:${name}:pcpu:deny=${Math.max(1, Math.round(limits.cpu * 100))}`,
  ]
}

/**
 * Sets the limits of a name, whether a jail of that name is there or not: so they are enforced from its first process on. Another
 * amount does not replace a rule but joins it, rctl(8), so all rules are removed first.
 */
export async function ensureLimits(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  await removeRules(host, `jail:${jail.name}`, signal)
  for (const rule of limitRules(jail)) await host.run('rctl', ['-a', rule], { signal })
}

/** Whether exactly the limits of a jail are in force for its name. */
export async function hasLimits(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<boolean> {
  return sameRules(await readRules(host, jail.name, signal), limitRules(jail))
}

/**
 * Removes the rules that match a filter of rctl(8), like `jail:NAME`. They belong to the name and outlive the jail: the next jail
 * of that name would inherit them.
 */
export async function removeRules(host: FreebsdHost, filter: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await host.run('rctl', ['-r', filter], { signal, okExitCodes: [1] })
  if (exitCode === 0 || /: No such process$/m.test(stderr)) return
  // Once more, so that the failure gets the message of any failed command.
  await host.run('rctl', ['-r', filter], { signal })
}

/** Returns the rules in force for a name, as `rctl jail:NAME` prints them. */
export async function readRules(host: FreebsdHost, name: string, signal: AbortSignal): Promise<string[]> {
  const { stdout } = await host.run('rctl', [`jail:${name}`], { signal })
  return stdout.split('\n').filter(Boolean)
}

export function sameRules(a: string[], b: string[]): boolean {
  return [...a].sort().join('\n') === [...b].sort().join('\n')
}
