import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { requirePrivileges } from '../../jails/require-privileges.ts'
import { namesOf } from '../../names/names.ts'
import { resolverOf } from '../../names/resolver.ts'
import { writeNames } from '../../names/write-names.ts'
import { describeFault, faultNamedIn } from '../../programs/host-faults.ts'
import { findProgram } from '../../programs/run-command.ts'
import { waitUntil } from '../../wait-until.ts'
import { cgroupExists, readValue } from '../limits/cgroups.ts'
import { applyLimits } from '../limits/limits.ts'
import type { LinuxHost } from '../linux-host.ts'
import { isAlive, namespaceOf, ownId, readOfProcess, readStatus } from '../processes/processes.ts'
import { rangeOf } from '../root/id-range.ts'
import { requireOwnFiles } from '../root/own-files.ts'
import { hasOwnIds, isRootMounted, mountRoot } from '../root/root.ts'
import { worldTree } from '../worlds.ts'
import { endJail } from './end-jail.ts'
import { ociSpec } from './oci-spec.ts'
import { messageOfRunc } from './runc-message.ts'
import { withSetuidRoot } from './setuid-root.ts'

const becomeMs = 5_000
/** runc takes a fraction of a second. What keeps it longer is in the jail's tree, or is a host without time for any start. */
const startMs = 30_000

/** Starts the jail with its first process, which does nothing and so outlives every command. Returns that process's id. */
export async function ensureJail(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<number> {
  host.starting.count++
  try {
    const running = findInit(host, jail.name)
    if (running !== undefined && isWhole(host, jail, running)) {
      applyLimits(host, jail)
      return running
    }
    requirePrivileges(host.supports, jail)
    if (running !== undefined || hasRemains(host, jail)) await endJail(host, jail, signal)
    if (!isRootMounted(host, jail)) throw new ProvostError('not_built', `The root of ${jail.name} is not mounted.`)
    // By a worker that knew no ranges, which another one has replaced in the midst of a start.
    if (!hasOwnIds(host, jail)) await mountRoot(host, jail, signal)
    requireOwnFiles(host.layout.jail(jail.name).root, jail.name)
    await ensureNames(host, jail)
    return await startJail(host, jail, signal)
  } finally {
    host.starting.count--
  }
}

/**
 * Returns the id of the jail's first process, by what the kernel says: the one that runc has written down, if it is process 1 of
 * a PID namespace and in the jail's cgroup, which no other process can be by chance. While it is still runc itself it does not
 * count.
 */
export function findInit({ layout }: LinuxHost, name: string): number | undefined {
  const { pidFile, cgroup } = layout.jail(name)
  const pid = Number(readValue(pidFile))
  if (!pid) return undefined
  const status = readStatus(pid)
  if (!status || !isAlive(status) || status.get('Name')?.startsWith('runc')) return undefined
  const inside = readOfProcess(pid, 'cgroup')
    ?.split('\n')
    .some((line) => line.endsWith(`:${cgroup}`))
  return inside && ownId(status) === 1 ? pid : undefined
}

/** Returns the jails that run, by name. */
export function listJails(host: LinuxHost): Map<string, { jid: number }> {
  const jails = new Map<string, { jid: number }>()
  for (const name of readdirSync(host.layout.jails)) {
    const jid = findInit(host, name)
    if (jid !== undefined) jails.set(name, { jid })
  }
  return jails
}

async function ensureNames(host: LinuxHost, jail: JailSpec): Promise<void> {
  const { root, names: record } = host.layout.jail(jail.name)
  const world = worldTree(host, { name: jail.world, digest: jail.worldDigest })
  const owner = rangeOf(host.layout, host.layout.jail(jail.name))
  await writeNames({ root, world, record, owner }, namesOf(jail, await resolverOf(host.config)))
}

async function startJail(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<number> {
  const { bundle, pidFile, runcLog, rootForRunc } = host.layout.jail(jail.name)
  const firstId = rangeOf(host.layout, host.layout.jail(jail.name))
  if (firstId === undefined) throw new ProvostError('not_built', `Jail ${jail.name} has no ids of its own.`)
  const init = findProgram('catatonit', host.config.commandPath)
  if (!init) throw new ProvostError('program_missing', `The program catatonit is not in ${host.config.commandPath}.`)
  // A new bundle is a new boot: what the last one noted of its command is removed with it.
  rmSync(bundle, { recursive: true, force: true })
  mkdirSync(bundle, { recursive: true, mode: 0o700 })
  const spec = host.amend(ociSpec(jail, host.layout.jail(jail.name), host.cgroups, init, firstId), jail)
  writeFileSync(`${bundle}/config.json`, JSON.stringify(spec), { mode: 0o600 })

  const { runcRoot } = host.layout
  const log = ['--root', runcRoot, '--log', runcLog]
  const runc = ['runc', ...log, 'run', '--detach', '--bundle', bundle, '--pid-file', pidFile, jail.name]
  const [program = '', ...args] = jail.privileges?.setuid ? withSetuidRoot(rootForRunc, runcLog, runc) : runc
  // The first process keeps what runc has open for the jail's life: none of it may be a file of the host.
  await host.run(program, args, { isDetached: true, signal, timeoutMs: startMs }).catch(async (error) => {
    throw await withRuncLog(error, runcLog)
  })
  applyLimits(host, jail)
  // runc returns a moment before its init has become the jail's first process.
  await waitUntil(() => findInit(host, jail.name) !== undefined, becomeMs, signal)
  const first = findInit(host, jail.name)
  if (first === undefined) throw new ProvostError('command_failed', `The first process of ${jail.name} ended at once.`)
  return first
}

/** Whether runc knows the running jail, and the jail is on the network that was made for it. */
function isWhole({ layout }: LinuxHost, jail: JailSpec, pid: number): boolean {
  const { network, runcState } = layout.jail(jail.name)
  if (!existsSync(`${runcState}/state.json`)) return false
  const made = statSync(network, { throwIfNoEntry: false })
  return made !== undefined && namespaceOf(pid, 'net') === `net:[${made.ino}]`
}

/** Whether there is what a start that was cut short leaves: a jail that runc made and did not start, or one that ended. */
function hasRemains({ layout, cgroups }: LinuxHost, jail: JailSpec): boolean {
  const { runcState, cgroup } = layout.jail(jail.name)
  return existsSync(runcState) || cgroupExists(cgroups, cgroup)
}

async function withRuncLog(error: unknown, runcLog: string): Promise<unknown> {
  if (!(error instanceof ProvostError) || error.code !== 'command_failed') return error
  const log = await readFile(runcLog, 'utf8').catch(() => '')
  const lastMessage = messageOfRunc(log.trim().split('\n').at(-1) ?? '')
  const facts = { ...error.facts, logTail: log.slice(-4_096) }
  // A program in Go that gets no thread ends with 2, and says why only on an output that the jail keeps open.
  const fault = lastMessage === undefined && error.facts.exitCode === 2 ? 'host_exhausted' : faultNamedIn(log)
  if (fault) return new ProvostError(fault, describeFault(fault, 'runc', lastMessage), facts)
  return new ProvostError('command_failed', `${error.message.replace(/\.$/, '')}: ${lastMessage ?? 'it left no message'}`, facts)
}
