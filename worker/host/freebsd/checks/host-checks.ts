import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { WorkerConfig } from '../../../config/config.ts'
import { fault, fine, note, type Result } from '../../checks/check-result.ts'
import { undefinedIfAbsent } from '../../paths.ts'
import type { RunCommand } from '../../programs/run-command.ts'
import { parseFreebsdVersion } from './advisories.ts'

/** What the checks of a FreeBSD host need. */
export type FreebsdCheckHost = { run: RunCommand; config: Pick<WorkerConfig, 'root' | 'network' | 'capacity'> }

/** Checks that limits work: rctl(8) needs a tunable that is read at boot. */
export async function checkRctl({ run }: FreebsdCheckHost): Promise<Result> {
  const value = await run('sysctl', ['-n', 'kern.racct.enable']).then(
    ({ stdout }) => stdout.trim(),
    (error) => whenFailed(error, 'absent'),
  )
  if (value === '1') return fine('kern.racct.enable is 1: limits of memory, CPU and processes hold.')
  if (value === 'absent')
    return fault('The kernel has no kern.racct.enable.', 'Run a kernel with options RACCT and RCTL, as GENERIC has them.')
  return fault(
    `kern.racct.enable is ${value}: no limit can be set.`,
    'Put kern.racct.enable=1 into /boot/loader.conf, and reboot.',
  )
}

/** Checks that the ruleset of jails is loaded: without it a jail's /dev would have every device of the host (devfs(8)). */
export async function checkDevfsRuleset({ run, config }: FreebsdCheckHost): Promise<Result> {
  const ruleset = config.network.mode === 'vnet' ? 5 : 4
  const show = (number: number) => run('devfs', ['rule', '-s', String(number), 'show']).then(({ stdout }) => stdout)
  const rules = { hideAll: await show(1), jail: await show(ruleset) }
  if (/\bhide$/m.test(rules.hideAll) && /\binclude [14]\b/.test(rules.jail))
    return fine(`Ruleset ${ruleset} is loaded: a jail sees only the devices that it may have.`)
  return fault(
    `Ruleset ${ruleset} of devfs is not loaded, or hides nothing: a jail would see every device of the host.`,
    'service devfs restart; see that devfs_rulesets of rc.conf(5) names /etc/defaults/devfs.rules.',
  )
}

/** Checks that the pool of the root's dataset is there. */
export async function checkZfs({ run }: Pick<FreebsdCheckHost, 'run'>, pool = ''): Promise<Result> {
  const name = await run('zfs', ['list', '-H', '-o', 'name', pool]).then(
    ({ stdout }) => stdout.trim(),
    (error) => whenFailed(error, ''),
  )
  if (name === pool) return fine(`The pool ${pool} is there: a jail is a clone of its world.`)
  return fault(`There is no ZFS pool ${pool}.`, 'zpool import it, or correct root; zpool list lists the pools.')
}

/** Checks the interface for jails' addresses, or the bridge for their own interfaces. */
export async function checkInterface({ run, config }: FreebsdCheckHost): Promise<Result> {
  const { mode, bridge = '', interface: uplink = '' } = config.network
  if (mode === 'shared') {
    if ((await ifconfig(run, uplink)) !== undefined) return fine(`Jails' addresses are put on ${uplink}.`)
    return fault(`There is no interface ${uplink}.`, 'Correct network.interface; ifconfig -l lists the interfaces.')
  }
  const shown = await ifconfig(run, bridge)
  if (shown === undefined)
    return note(
      `There is no bridge ${bridge} yet; the worker makes it when it starts.`,
      `To have it before, with the host's own network on it: cloned_interfaces and ifconfig_${bridge} in rc.conf(5).`,
    )
  // ifconfig(8) shows the groups of an interface; a renamed bridge keeps its own.
  if (/^\s+groups:.*\bbridge\b/m.test(shown)) return fine(`Each jail has its own interface on ${bridge}.`)
  return fault(`${bridge} is there and is no bridge.`, 'Choose another name for network.bridge.')
}

async function ifconfig(run: RunCommand, name: string): Promise<string | undefined> {
  return run('ifconfig', [name]).then(
    ({ stdout }) => stdout,
    (error) => whenFailed(error, undefined),
  )
}

type Include = {
  /** `/etc/jail.conf`. */
  jailConf: string
  /** The whole line, as the worker writes it: `.include "/…/*.conf";`. */
  line: string
  /** Whether a worker has started on this host before: then it has put the line there. */
  enrolled: boolean
  /** The directory of the files that the line includes. */
  boot?: string
}

/** Checks that jails come back at boot: rc.d/jail starts what jail.conf(5) contains, and `.include` came with 14.0. */
export async function checkInclude({ run }: FreebsdCheckHost, { jailConf, line, enrolled, boot }: Include): Promise<Result> {
  const version = parseFreebsdVersion((await run('freebsd-version', ['-k'])).stdout)
  if (version && version.major < 14)
    return fault(`jail.conf of FreeBSD ${version.major}.${version.minor} knows no .include.`, 'Upgrade to 14.4 or later.')

  const text = await readFile(jailConf, 'utf8').catch(undefinedIfAbsent)
  let defined: string[] = []
  if (text !== undefined) {
    // Exit 0 alone proves nothing: some faults are only on standard error (jail(8) -e).
    const { stdout, stderr } = await read(run, jailConf)
    // This must not keep a worker from starting: it does not read this file, and starts the jails that the boot did not.
    if (stderr.trim())
      return (enrolled ? fault : note)(
        `${jailConf} has a fault, so no jail starts from it at boot, or stops: ${stderr.trim()}`,
        'Correct the named line, or the named file that it includes.',
      )
    defined = definitionsIn(stdout)
  }
  const lines = (text ?? '').split('\n').map((each) => each.trim())
  const changed = lines.includes(line) && boot ? await changedJails(run, boot, defined) : []
  if (changed.length > 0)
    return fault(
      `${jailConf} defines ${changed.join(', ')} in another way than their own files do, or not at all.`,
      'Move what stands outside of all blocks, or in one for *, into the blocks of the jails that it is for; and see that no byte outside of comments is other than ASCII.',
    )
  if (lines.includes(line)) return fine(`${jailConf} includes the jails that are meant to run.`)
  if (!enrolled) return fine(`The worker puts ${line} into ${jailConf} when it first starts.`)
  return fault(
    `${jailConf} lacks the line ${line} so jails do not come back at boot.`,
    'Start the worker again, which puts it there, or add it.',
  )
}

/**
 * Returns the names of jails that would come back at boot with other parameters, or not at all. A statement outside of all blocks
 * applies to the jails of included files too, and a byte that is no ASCII may end the file before they are included, both without
 * a message, jail.conf(5).
 */
async function changedJails(run: RunCommand, boot: string, defined: string[]): Promise<string[]> {
  const names = (await readdir(boot)).filter((name) => name.endsWith('.conf'))
  const changed: string[] = []
  for (const name of names) {
    const own = definitionsIn((await read(run, join(boot, name))).stdout)
    if (own.length === 0 || own.some((each) => !defined.includes(each))) changed.push(name.slice(0, -'.conf'.length))
  }
  return changed
}

async function read(run: RunCommand, file: string): Promise<{ stdout: string; stderr: string }> {
  return run('jail', ['-f', file, '-e', '|']).catch((error) => ({ stdout: '', stderr: tailOf(error) }))
}

/** Returns the lines that jail(8) -e printed, each with its parameters sorted: their order depends on where they came from. */
function definitionsIn(printed: string): string[] {
  return printed
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('|').sort().join('|'))
}

/** Checks that rc.conf(5) enables jails, and the service that sets the limits of rctl.conf(5). */
export async function checkBoot({ run }: FreebsdCheckHost, enrolled: boolean): Promise<Result> {
  const wanted = { jail_enable: 'YES', rctl_enable: 'YES' }
  const { stdout } = await run('sysrc', ['-i', ...Object.keys(wanted)])
  const off = Object.keys(wanted).filter((name) => !new RegExp(`^${name}: (YES|TRUE|ON|1)$`, 'im').test(stdout))
  if (off.length === 0) return fine('rc.conf(5) starts jails and their limits at boot.')
  if (!enrolled) return fine('The worker enables jails and their limits in rc.conf(5) when it first starts.')
  return fault(
    `rc.conf(5) does not enable ${off.join(' and ')}: jails do not come back at boot as they were.`,
    `sysrc ${off.map((name) => `${name}=YES`).join(' ')}, or start the worker again.`,
  )
}

/** Returns `answer` for a command that failed. @throws any other error, as when the command is missing or was killed */
function whenFailed<T>(error: unknown, answer: T): T {
  if (error instanceof ProvostError && error.code === 'command_failed') return answer
  throw error
}

function tailOf(error: unknown): string {
  if (error instanceof ProvostError && error.code === 'command_failed') return error.facts.logTail ?? error.message
  throw error
}
