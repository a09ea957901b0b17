import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { killProcess } from '../../programs/end-processes.ts'
import { waitUntil } from '../../wait-until.ts'
import { cgroupExists, processesIn, releaseCgroup, removeCgroup } from '../limits/cgroups.ts'
import type { LinuxHost } from '../linux-host.ts'
import { ownId, readStatus } from '../processes/processes.ts'
import { removeSharedDirectories } from '../root/shared-directories.ts'
import { removeRuncCopies } from './runc-copies.ts'

const graceMs = 2_000
const killMs = 10_000
const cgroupMs = 5_000

/** Ends the jail and removes its cgroups, also when runc no longer knows it. @throws ProvostError `resource_busy` */
export async function removeJail(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  await endJail(host, jail, signal)
  removeSharedDirectories(host)
}

export async function endJail(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { runcState, cgroup, consoleCgroup, bundle } = host.layout.jail(jail.name)
  await endProcesses(host, jail, signal)
  await endConsole(host, jail, signal)
  if (existsSync(runcState)) {
    await removeRuncCopies(host, jail, signal)
    // runc cannot read a state that a killed runc wrote halfway; with no process left it is only a file.
    await host.run('runc', ['--root', host.layout.runcRoot, 'delete', '--force', jail.name], { signal, okExitCodes: [1] })
    await rm(runcState, { recursive: true, force: true })
  }
  const isGone = () => removeCgroup(host.cgroups, consoleCgroup) && removeCgroup(host.cgroups, cgroup)
  if (cgroupExists(host.cgroups, cgroup) && !(await waitUntil(isGone, cgroupMs, signal)))
    throw new ProvostError('resource_busy', `The cgroup ${cgroup} cannot be removed.`)
  await rm(bundle, { recursive: true, force: true })
}

/**
 * Waits for what takes in what the jail prints: it ends with the last process that could print, and is killed if it does not.
 * @throws ProvostError `resource_busy`
 */
export async function endConsole({ cgroups, layout }: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const left = () => processesIn(cgroups, layout.jail(jail.name).consoleCgroup)
  if (await waitUntil(() => left().length === 0, graceMs, signal)) return
  for (const pid of left()) killProcess(pid, 'SIGKILL')
  if (await waitUntil(() => left().length === 0, killMs, signal)) return
  throw new ProvostError('resource_busy', `What takes in the console of ${jail.name} does not end: ${left().join(', ')}.`)
}

async function endProcesses({ cgroups, layout }: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { cgroup } = layout.jail(jail.name)
  const processes = processesIn(cgroups, cgroup)
  if (processes.length === 0) return

  const first = processes.find((pid) => ownId(readStatus(pid)) === 1)
  await terminateAllBut({ cgroups, layout }, jail, first, signal)
  // With the first process of a PID namespace the kernel kills all others, so no fork can outrun it.
  if (first !== undefined) killProcess(first, 'SIGKILL')
  await killAllBut({ cgroups, layout }, jail, undefined, signal)
}

/** Ends all processes of the jail but its first, with the grace of a stop. @throws ProvostError `resource_busy` */
export async function endAllBut(host: LinuxHost, jail: JailSpec, first: number, signal: AbortSignal): Promise<void> {
  await terminateAllBut(host, jail, first, signal)
  await killAllBut(host, jail, first, signal)
}

/** Sends SIGTERM to all processes of the jail but its first, and waits a while. */
async function terminateAllBut(
  { cgroups, layout }: Pick<LinuxHost, 'cgroups' | 'layout'>,
  jail: JailSpec,
  first: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const others = () => processesIn(cgroups, layout.jail(jail.name).cgroup).filter((pid) => pid !== first)
  for (const pid of others()) killProcess(pid, 'SIGTERM')
  await waitUntil(() => others().length === 0, graceMs, signal)
}

/** Kills the jail's processes, all or all but its first. @throws ProvostError `resource_busy` */
export async function killAllBut(
  { cgroups, layout }: Pick<LinuxHost, 'cgroups' | 'layout'>,
  jail: JailSpec,
  first: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { cgroup } = layout.jail(jail.name)
  const left = () => processesIn(cgroups, cgroup).filter((pid) => pid !== first)
  const gone = () => {
    const processes = left()
    for (const pid of processes) killProcess(pid, 'SIGKILL')
    // Only now: a process that was not killed yet must not get more than its share.
    if (first === undefined) releaseCgroup(cgroups, cgroup)
    return processes.length === 0
  }
  if (await waitUntil(gone, killMs, signal)) return
  throw new ProvostError('resource_busy', `Processes of ${jail.name} do not end: ${left().join(', ')}.`)
}
