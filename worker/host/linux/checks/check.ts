import { existsSync, readlinkSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { checkMountOptions } from '../../checks/check-mount-options.ts'
import { fault, fine, type NamedCheck, type Result, runChecks } from '../../checks/check-result.ts'
import { existingAbove } from '../../files/paths.ts'
import type { Check } from '../../host-runtime.ts'
import { findProgram } from '../../programs/run-command.ts'
import { isStaticProgram } from '../jail/static-program.ts'
import type { Controller } from '../limits/cgroups.ts'
import type { LinuxHost } from '../linux-host.ts'
import { namespaces } from '../processes/processes.ts'
import { firstIdOf, mostRanges, rangeSize } from '../root/id-range.ts'
import { readMounts, unmountBelow } from '../root/mounts.ts'
import { removeTree } from '../root/remove-tree.ts'
import { mountRootScript } from '../root/user-namespace.ts'
import { checkInotify, checkUserNamespaces } from './check-ids.ts'
import { checkFilter, checkMode, checkOwnAddresses } from './check-network.ts'

/** By program, the Debian package that has it. */
const programs: Record<string, string> = {
  runc: 'runc',
  catatonit: 'catatonit',
  ip: 'iproute2',
  nft: 'nftables',
  mount: 'mount',
  umount: 'mount',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setsid: 'util-linux',
  sh: 'dash',
  perl: 'perl-base',
  flock: 'util-linux',
  tar: 'tar',
  rm: 'coreutils',
  sync: 'coreutils',
  uname: 'coreutils',
}

/** Checks all that a worker on Linux needs of its host. */
export async function checkHost(host: LinuxHost): Promise<Check[]> {
  const wanted = { ...programs, ...(host.config.capacity.disk === undefined ? {} : { 'mkfs.ext4': 'e2fsprogs' }) }
  const checks: NamedCheck[] = [
    ['root privileges', checkPrivileges],
    ...Object.entries(wanted).map(([program, debian]): NamedCheck => [program, () => checkProgram(host, program, debian)]),
    ['static catatonit', () => checkStatic(host)],
    ['process 1', checkFirstProcess],
    ['namespaces', checkNamespaces],
    ['user namespaces', checkUserNamespaces],
    ['inotify', checkInotify],
    ['cgroups', () => checkCgroups(host)],
    ['network mode', () => checkMode(host)],
    ['pools', () => checkOwnAddresses(host)],
    ['network filter', () => checkFilter(host)],
    ['disk limit', () => checkDisk(host)],
    ['root directory', () => checkRoot(host)],
    ['root mount', () => checkMount(host)],
    ['overlay', () => checkOverlay(host)],
  ]
  return runChecks(checks)
}

function checkPrivileges(): Result {
  if (process.getuid?.() === 0) return fine('This runs as root.')
  return fault('This does not run as root, and only root can make jails.', 'Run it as root, for instance with sudo.')
}

function checkProgram({ config }: LinuxHost, program: string, debian: string): Result {
  const path = findProgram(program, config.commandPath)
  if (path) return fine(path)
  return fault(`There is no ${program} in ${config.commandPath}.`, `apt-get install ${debian}, or set commandPath.`)
}

async function checkStatic({ config }: LinuxHost): Promise<Result> {
  const path = findProgram('catatonit', config.commandPath)
  if (!path || (await isStaticProgram(path))) return fine('The first process of a jail needs nothing of its world.')
  return fault(`${path} needs libraries, which a jail's world may lack.`, 'Install the catatonit of Debian, which is static.')
}

/** The parent of a jail's command is process 1 of the host: until that has waited for the command, the jail cannot be removed. */
function checkFirstProcess(): Result {
  if (!isNode(1)) return fine('It takes note of the end of processes that have no other parent.')
  return fault(
    'It is Node, which takes no note of the end of processes that it did not start.',
    'Start the container with an init (docker run --init).',
  )
}

function isNode(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === readlinkSync('/proc/self/exe')
  } catch {
    // Only root may look, and not everywhere; other checks report that.
    return false
  }
}

function checkNamespaces(): Result {
  const missing = namespaces.filter((namespace) => !existsSync(`/proc/self/ns/${namespace}`))
  if (missing.length === 0) return fine(`The kernel has ${namespaces.join(', ')}.`)
  return fault(`The kernel lacks the namespaces ${missing.join(', ')}.`, 'Run a kernel with CONFIG_NAMESPACES and all below it.')
}

async function checkCgroups({ cgroups }: LinuxHost): Promise<Result> {
  const wanted: Controller[] = ['memory', 'cpu', 'pids']
  const has =
    cgroups.version === 1
      ? (controller: Controller) => cgroups.directory(controller, '/') !== undefined
      : await controllersOfV2(cgroups.points[0] ?? '')
  const missing = wanted.filter((controller) => !has(controller))
  if (missing.length === 0) return fine(`cgroup v${cgroups.version} with ${wanted.join(', ')}.`)
  return fault(
    `No cgroup controller for ${missing.join(', ')}.`,
    'Mount cgroup2 on /sys/fs/cgroup, with these controllers enabled.',
  )
}

async function controllersOfV2(point: string): Promise<(controller: Controller) => boolean> {
  const names = (await readFile(join(point, 'cgroup.controllers'), 'utf8')).trim().split(' ')
  return (controller) => names.includes(controller)
}

function checkDisk({ config }: LinuxHost): Result {
  if (config.capacity.disk === undefined) return fine('capacity.disk is not set, so no jail gets a disk limit.')
  if (existsSync('/dev/loop-control')) return fine("A limited jail's files lie in a file system of that size.")
  return fault('There is no /dev/loop-control.', 'modprobe loop, or leave capacity.disk out.')
}

/** The root goes into the options of an overlay, where these characters mean something. */
function checkRoot({ layout }: LinuxHost): Result {
  if (/[,:\\\s]/.test(layout.root))
    return fault(`root is ${layout.root}.`, 'Choose one without a comma, colon, backslash or space.')
  return fine(layout.root)
}

function checkMount({ config, layout }: LinuxHost): Result {
  const needsDevices = config.worlds.some(({ method }) => method === 'debootstrap')
  return checkMountOptions(existingAbove(layout.root), readMounts(), needsDevices)
}
const trialPrefix = '.provost-check-'
const longestTrialMs = 60_000

/** The last of all ranges, for a moment. */
const trialIds = [firstIdOf(mostRanges - 1), rangeSize].map(String)

/**
 * Mounts an overlay in the file system of the root, as a jail's root is: not every file system can be below or above one, or be seen through
 * an idmapped mount.
 */
async function checkOverlay(host: LinuxHost): Promise<Result> {
  if (process.getuid?.() !== 0) return fault('Only root can try whether it works.', 'Run this as root.')
  const above = existingAbove(host.layout.root)
  // One that cannot be removed now is tried again at the next start.
  await removeOldTrials(host, above).catch(() => undefined)
  const directory = await mkdtemp(join(above, `${trialPrefix}${process.pid}-`))
  const [lower, upper, work, root] = ['lower', 'upper', 'work', 'root'].map((name) => join(directory, name))
  try {
    for (const path of [lower, upper, work, root]) await mkdir(path as string)
    const mount = [
      'perl',
      ...mountRootScript,
      ...trialIds,
      join(directory, 'user'),
      'make',
      ...[lower, directory, root].map(String),
    ]
    // In a mount namespace of its own, which ends with the mount, whatever becomes of this process.
    await host.run('unshare', ['--mount', '--propagation', 'private', ...mount])
    return fine(`Works in ${above}.`)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return fault(
      `Cannot be mounted with ids of a jail's own: ${reason}`,
      'Run Linux 5.19 or later with CONFIG_USER_NS, modprobe overlay, and put root on ext4, xfs, btrfs or tmpfs.',
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Removes what a worker has left that was killed in its trial; those of older versions have no pid in their name, and a mount. */
async function removeOldTrials(host: LinuxHost, above: string): Promise<void> {
  for (const name of await readdir(above)) {
    if (!name.startsWith(trialPrefix)) continue
    const path = join(above, name)
    const pid = Number(/^(\d+)-/.exec(name.slice(trialPrefix.length))?.[1] ?? 0)
    const mayRun = pid === 0 || existsSync(`/proc/${pid}`)
    if (mayRun && Date.now() - statSync(path).mtimeMs < longestTrialMs) continue
    await unmountBelow(host.run, path)
    await removeTree(host.run, path)
  }
}
