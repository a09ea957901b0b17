import { ProvostError } from '#shared/errors.ts'
import type { Limits } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

export const racctRemedy = 'Put kern.racct.enable=1 into /boot/loader.conf, and reboot.'

/**
 * Returns the rules of rctl(8) for a jail's limits. memoryuse is what its processes have resident, summed up once in
 * vm.vmdaemon_timeout: deny would refuse nothing of it, so the process that grew beyond is killed. swapuse and vmemoryuse are refused at
 * once, but count what is only reserved, and swapuse forgets what lives on when another process ends (docs/freebsd.md): a host that wants
 * it says so (`limits.memory: reserved`). pcpu is in percent of one core; a rule takes whole numbers, and 0 would stop everything.
 */
export function limitRules(
  { config }: Pick<FreebsdHost, 'config'>,
  { name, limits }: { name: string; limits: Limits },
): string[] {
  return [
    `jail:${name}:memoryuse:sigkill=${limits.memory}`,
    ...(config.limits?.memory === 'reserved' ? [`jail:${name}:swapuse:deny=${limits.memory}`] : []),
    `jail:${name}:maxproc:deny=${limits.processes}`,
    `jail:${name}:pcpu:deny=${Math.max(1, Math.round(limits.cpu * 100))}`,
  ]
}

/**
 * Sets the limits of a name, whether a jail of that name is there or not: so they are enforced from its first process on. All rules of
 * an earlier jail of that name are removed first.
 * @throws ProvostError `host_unfit` where limits do not hold: no jail may run without them.
 */
export async function ensureLimits(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  await removeRules(host, `jail:${jail.name}`, signal)
  for (const rule of limitRules(host, jail)) await addRule(host, rule, signal)
  const actual = await readRules(host, jail.name, signal)
  if (sameRules(actual, limitRules(host, jail))) return
  throw new ProvostError('host_unfit', `rctl(8) took the limits of ${jail.name}, and has ${actual.join(', ') || 'none'} of them.`)
}

async function addRule(host: FreebsdHost, rule: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await host.run('rctl', ['-a', rule], { signal, okExitCodes: [1] })
  if (exitCode === 0) return
  if (isOff(stderr)) throw new ProvostError('host_unfit', `No limit can be set: ${stderr.trim()}`, { hint: racctRemedy })
  throw new ProvostError('command_failed', stderr.trim(), { command: `rctl -a ${rule}`, exitCode, logTail: stderr })
}

/** Whether exactly the limits of a jail are in force for its name. */
export async function hasLimits(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<boolean> {
  return sameRules(await readRules(host, jail.name, signal), limitRules(host, jail))
}

/**
 * Removes the rules that match a filter of rctl(8), like `jail:NAME`. They belong to the name and outlive the jail: the next jail
 * of that name would inherit them.
 */
export async function removeRules(host: FreebsdHost, filter: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await host.run('rctl', ['-r', filter], { signal, okExitCodes: [1] })
  if (exitCode === 0 || /: No such process$/m.test(stderr) || isOff(stderr)) return
  // Once more, so that the failure gets the message of any failed command.
  await host.run('rctl', ['-r', filter], { signal })
}

/** Returns the rules in force for a name, as `rctl jail:NAME` prints them. */
export async function readRules(host: FreebsdHost, name: string, signal: AbortSignal): Promise<string[]> {
  const { stdout } = await host.run('rctl', [`jail:${name}`], { signal })
  return stdout.split('\n').filter(Boolean)
}

/** Whether rctl(8) said that this kernel has no limits at all: then it has no rules either. */
function isOff(stderr: string): boolean {
  return /^rctl: RACCT\/RCTL /m.test(stderr)
}

export function sameRules(a: string[], b: string[]): boolean {
  return [...a].sort().join('\n') === [...b].sort().join('\n')
}
