import { readdir, readFile } from 'node:fs/promises'
import { bare } from '../../addresses.ts'
import { checkMountOptions } from '../../checks/check-mount-options.ts'
import { addressesOf, checkPools } from '../../checks/check-pools.ts'
import { fault, fine, type NamedCheck, type Result, runChecks } from '../../checks/check-result.ts'
import { existingAbove } from '../../files/paths.ts'
import type { Check } from '../../host-runtime.ts'
import { findProgram } from '../../programs/run-command.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import type { Layout } from '../layout.ts'
import { bridgeName } from '../network/vnet.ts'
import { readMounts } from '../root/mounts.ts'
import { checkDevfsRuleset, checkInterface, checkRctl, checkZfs } from './host-checks.ts'

/** All in FreeBSD's base system. */
const programs = ['chflags', 'cpuset', 'daemon', 'devfs', 'ifconfig', 'jail', 'jexec', 'jls', 'mount', 'ps', 'rctl', 'rm', 'sync']
const morePrograms = ['sysctl', 'sysrc', 'tar', 'umount']

type Unopened = Omit<FreebsdHost, 'layout'>

/** Checks all that a worker on FreeBSD needs of its host. `layout` is undefined while the root's dataset is not there. */
export async function checkHost(host: Unopened, layout: Layout | undefined): Promise<Check[]> {
  const { root, network } = host.config
  const wanted = [...programs, ...morePrograms, ...(root.startsWith('/') ? [] : ['zfs'])]
  const checks: NamedCheck[] = [
    ['root privileges', checkPrivileges],
    ...wanted.map((program): NamedCheck => [program, () => checkProgram(host, program)]),
    ['rctl', () => checkRctl(host)],
    ['devfs rulesets', () => checkDevfsRuleset(host)],
    ['root', () => checkRoot(host)],
    ['root mount', () => checkMount(host, layout)],
    ['zfs', () => (root.startsWith('/') ? checkCopies(host) : checkZfs(host, root.split('/')[0]))],
    [network.mode === 'vnet' ? 'bridge' : 'interface', () => checkInterface(host)],
    ['pools', () => checkOwnAddresses(host, layout)],
  ]
  return runChecks(checks)
}

function checkPrivileges(): Result {
  if (process.getuid?.() === 0) return fine('This runs as root.')
  return fault('This does not run as root, and only root can make jails.', 'Run it as root.')
}

function checkProgram({ config }: Unopened, program: string): Result {
  const path = findProgram(program, config.commandPath)
  if (path) return fine(path)
  return fault(`There is no ${program} in ${config.commandPath}.`, 'Install the base system whole, or set commandPath.')
}

/** The root is in a list of rc.conf(5), where `*`, `?` and `[` are a pattern, and in mount -p: in both blanks separate. */
function checkRoot({ config }: Unopened): Result {
  if (/^[A-Za-z0-9_./:-]+$/.test(config.root)) return fine(config.root)
  return fault(`root is ${config.root}.`, 'Choose one of letters, digits and _ . / : - only.')
}

/** FreeBSD has no nodev: only devfs(5) has devices there (mount(8)). On ZFS the option is the property exec. */
async function checkMount({ run, config }: Unopened, layout: Layout | undefined): Promise<Result> {
  const directory = layout?.directory ?? (config.root.startsWith('/') ? existingAbove(config.root) : undefined)
  if (directory === undefined) return fine('It is checked once the dataset is there.')
  return checkMountOptions(directory, await readMounts(run), false)
}

function checkCopies({ config }: Unopened): Result {
  if (config.capacity.disk === undefined) return fine('root is a directory: each jail is a whole copy of its world.')
  return fault(
    'root is a directory, which holds no disk limit of a jail.',
    'Make root a ZFS dataset, or leave capacity.disk out.',
  )
}

/** The addresses of the host's jails do not count: the jails' files have them. */
async function checkOwnAddresses({ run, config }: Unopened, layout: Layout | undefined): Promise<Result> {
  const ours = layout ? await givenTo(layout) : []
  const own = addressesOf((await run('ifconfig', ['-a'])).stdout).filter(({ address }) => !ours.includes(bare(address)))
  return checkPools(config.network.pools, own, config.network.mode === 'vnet' ? bridgeName({ config }) : config.network.interface)
}

async function givenTo({ jails, jail }: Layout): Promise<string[]> {
  const names = await readdir(jails).catch(() => [])
  const records = names.map(async (name): Promise<string[]> => {
    const text = await readFile(jail(name).aliases, 'utf8').catch(() => '{}')
    return (JSON.parse(text).addresses ?? []).map(bare)
  })
  return (await Promise.all(records)).flat()
}
