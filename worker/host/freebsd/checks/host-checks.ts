import { ProvostError } from '#shared/errors.ts'
import type { MemoryLimit, WorkerConfig } from '../../../config/config.ts'
import { fault, fine, note, type Result } from '../../checks/check-result.ts'
import type { RunCommand } from '../../programs/run-command.ts'
import { racctRemedy } from '../limits/limits.ts'

/** An interval between two looks at memory that is short enough. */
const tenthMs = 100

/** What the checks of a FreeBSD host need. */
export type FreebsdCheckHost = { run: RunCommand; config: Pick<WorkerConfig, 'root' | 'network' | 'capacity' | 'limits'> }

/** Checks that limits work: rctl(8) needs a tunable that is read at boot. */
export async function checkRctl({ run, config }: FreebsdCheckHost): Promise<Result> {
  const value = await run('sysctl', ['-n', 'kern.racct.enable']).then(
    ({ stdout }) => stdout.trim(),
    (error) => whenFailed(error, 'absent'),
  )
  if (value === '1') return judgeMemoryLooks(await memoryLooksMs(run), config.limits?.memory ?? 'resident')
  if (value === 'absent')
    return fault('The kernel has no kern.racct.enable.', 'Run a kernel with options RACCT and RCTL, as GENERIC has them.')
  return fault(`kern.racct.enable is ${value}: no limit can be set.`, racctRemedy)
}

/** A jail passes its memory by what it touches between two looks of the kernel: at 1 s a program passed 128M by 66M to 78M (15.1). */
function judgeMemoryLooks(everyMs: number | undefined, memory: MemoryLimit): Result {
  const taken = 'kern.racct.enable is 1: rctl(8) takes limits of memory, CPU and processes.'
  if (memory === 'reserved') return fine(`${taken} What a jail reserves beyond its memory is refused at once.`)
  if (everyMs === undefined || everyMs <= tenthMs) return fine(taken)
  return note(
    `${taken} The kernel looks at memory each ${everyMs} ms: until then a jail may pass its limit.`,
    'To look more often: sysctl vm.vmdaemon_timeout=N, in ticks, of which kern.hz are a second; in /etc/sysctl.conf, too. ' +
      'To refuse it at once: limits.memory: reserved in worker.yaml, where no program of a jail reserves much more than it uses.',
  )
}

/** Returns how often the kernel looks at what is resident, in milliseconds; undefined where it does not say. */
async function memoryLooksMs(run: RunCommand): Promise<number | undefined> {
  const printed = await run('sysctl', ['-n', 'vm.vmdaemon_timeout', 'kern.hz']).then(
    ({ stdout }) => stdout,
    (error) => whenFailed(error, ''),
  )
  const [ticks, hz] = printed.split('\n').map(Number)
  return ticks && hz ? Math.round((ticks * 1_000) / hz) : undefined
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

/** Returns `answer` for a command that failed. @throws any other error, as when the command is missing or was killed */
function whenFailed<T>(error: unknown, answer: T): T {
  if (error instanceof ProvostError && error.code === 'command_failed') return answer
  throw error
}
