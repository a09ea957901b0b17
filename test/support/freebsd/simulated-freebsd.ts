import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import { ifconfigProgram } from './ifconfig-program.ts'
import { type InJail, leavePretended, pretend, reallyLeave, reallyRun } from './in-jail.ts'
import { jailProgram } from './jail/jail-program.ts'
import { jlsProgram } from './jail/jls-program.ts'
import {
  type Answer,
  type CommandOptions,
  type CommandResult,
  failed,
  findJail,
  type Kernel,
  notKnown,
  type Program,
} from './kernel.ts'
import { shellProgram } from './shell-program.ts'
import {
  chflagsProgram,
  cpusetProgram,
  devfsProgram,
  mountProgram,
  psProgram,
  rctlProgram,
  routeProgram,
  sysctlProgram,
  sysrcProgram,
  umountProgram,
} from './small-programs.ts'
import { standIns } from './stand-ins.ts'
import { zfsProgram } from './zfs-program.ts'

type Matcher = string | RegExp | ((args: string[]) => boolean)
type Injection = { program: string; matcher: Matcher; answer: Answer; times: number }

export type SimulatedFreebsd = ReturnType<typeof simulatedFreebsd>

/**
 * A FreeBSD host without FreeBSD: it answers the commands of the runtime as the manual pages and the transcripts of jail(8)
 * say, keeps jails, interfaces, mounts, datasets and rules in memory, and real files below `directory`. What is not known of
 * FreeBSD it refuses to answer. `inJail`: in place of really running a jail's commands, in a chroot(2).
 */
export function simulatedFreebsd(directory: string, inJail?: InJail) {
  const commands: string[][] = []
  const nested = new Set<string[]>()
  const injections: Injection[] = []
  const holds: Pick<Injection, 'program' | 'matcher'>[] = []
  let amended: Record<string, string | string[]> = {}
  const store = join(directory, 'snapshots')
  mkdirSync(store, { recursive: true })

  const kernel: Kernel = {
    jails: new Map(),
    nextJid: 1,
    links: [
      { name: 'em0', kind: 'ether', up: true, addresses: [], members: [], ether: '02:00:00:00:00:01', vnet: 0 },
      { name: 'lo0', kind: 'loop', up: true, addresses: [], members: [], ether: '', vnet: 0 },
    ],
    nextEpair: 0,
    mounts: [
      { device: '/dev/ada0p2', point: '/', fsType: 'ufs' },
      { device: 'devfs', point: '/dev', fsType: 'devfs' },
    ],
    busyMounts: new Set(),
    datasets: new Map([['tank', { mountpoint: join(directory, 'tank'), mounted: true }]]),
    snapshots: new Map(),
    busyDatasets: new Map(),
    poolFull: false,
    rules: [],
    sysctl: new Map([
      ['hw.ncpu', '4'],
      ['kern.racct.enable', '1'],
      ['kern.hz', '100'],
      ['vm.vmdaemon_timeout', '100'],
      ['kern.boot_id', '4c8609698ad1a11cdc00cf6eb7d954e1'],
    ]),
    rcConf: new Map(),
    devfsRules: new Map([
      ['1', '100 hide\n'],
      ['4', '100 include 1\n200 include 2\n300 include 3\n400 path fuse unhide\n500 path zfs unhide\n'],
      ['5', '100 include 4\n200 path pf unhide\n'],
    ]),
    flags: new Map(),
    elsewhere: new Set(),
    dyingFor: 0,
    host: async (program, args) => {
      const argv = [program, ...args]
      nested.add(argv)
      return complete(await answer(argv, {}))
    },
    inJail: inJail ? pretend(inJail) : reallyRun,
    leaveInJail: inJail ? (jail, left) => void leavePretended(inJail, jail, left) : reallyLeave,
    amend: (parameters) => {
      amended = { ...amended, ...parameters }
    },
  }

  const programs: Record<string, Program> = {
    jail: jailProgram(kernel),
    jls: jlsProgram(kernel, () => amended),
    ifconfig: ifconfigProgram(kernel),
    zfs: zfsProgram(kernel, store),
    rctl: rctlProgram(kernel),
    mount: mountProgram(kernel),
    umount: umountProgram(kernel),
    ps: psProgram(kernel),
    sysctl: sysctlProgram(kernel),
    sysrc: sysrcProgram(kernel),
    devfs: devfsProgram(kernel),
    chflags: chflagsProgram(kernel),
    cpuset: cpusetProgram(kernel),
    sh: shellProgram(kernel, directory),
    route: routeProgram(kernel),
    sync: () => ({}),
    // Started by daemon(8) only; here it is there.
    jexec: () => notKnown('jexec by itself'),
    'freebsd-version': () => ({ stdout: '14.4-RELEASE-p10\n' }),
    rm: (args) => {
      const [flags, path = ''] = args
      if (flags !== '-rfx') return notKnown(`rm ${args.join(' ')}`)
      // Of files that somebody has made so, rm(1) -f clears the flags uchg and uappnd by itself.
      const fixed = [...kernel.flags].find(([file, flag]) => file.startsWith(`${path}/`) && !/^u(chg|appnd)$/.test(flag))?.[0]
      if (fixed) return failed(`rm: ${fixed}: Operation not permitted`)
      if (kernel.mounts.some(({ point }) => point.startsWith(`${path}/`))) throw new Error(`rm of ${path} through a mount`)
      rmSync(path, { recursive: true, force: true })
      return {}
    },
    tar: (args) => {
      const archive = args[args.indexOf('-f') + 1] ?? ''
      if (args.includes('-c') && archive !== '-' && !existsSync(dirname(archive)))
        return failed(`tar: Failed to open '${archive}'`)
      const { status, stderr } = spawnSync('tar', args, { encoding: 'utf8' })
      return { exitCode: status ?? 1, stderr }
    },
    daemon: (args) => {
      const [env, clean, sh, script = '', log, end = '', which = '', ...argv] = args
      const isOurs = env === '/usr/bin/env' && clean === '-i' && sh === '/bin/sh' && script.endsWith('/run-command.sh')
      if (!isOurs) return notKnown(`daemon ${args.join(' ')}`)
      const jail = findJail(kernel, which)
      // daemon(8) has gone to the background when jexec(8) finds that there is no such jail.
      if (jail && jail.dyingFor === undefined)
        kernel.leaveInJail(jail, { argv, log, ended: (code) => writeFileSync(end, `${code}\n`) })
      return {}
    },
  }

  async function answer(argv: string[], options: CommandOptions): Promise<Answer> {
    commands.push(argv)
    const [program = '', ...args] = argv
    const injection = injections.find((each) => each.times > 0 && each.program === program && matches(each.matcher, args))
    if (injection) {
      injection.times -= 1
      return injection.answer
    }
    const run = programs[program]
    if (!run) throw new ProvostError('program_missing', `The program ${program} is not in /simulated.`)
    return run(args, options)
  }

  const run = async (program: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> => {
    options.signal?.throwIfAborted()
    const given = await answer([program, ...args], options)
    const command = [program, ...args].join(' ')
    // It hangs until its time is up, or until whoever waits for it stops waiting.
    if (!('exitCode' in given) && given.stdout === undefined && given.stderr === hangs) {
      await ended(options)
      options.signal?.throwIfAborted()
      throw new ProvostError('step_timeout', `${program} did not end in its time.`, { command, logTail: '' })
    }
    const result = complete(given)
    if (options.outputFile) appendFileSync(options.outputFile, result.stdout + result.stderr)
    if (result.exitCode === 0 || options.okExitCodes?.includes(result.exitCode)) return result
    const last = (result.stderr.trim() || result.stdout.trim()).split('\n').at(-1)
    throw new ProvostError('command_failed', `${program} ended with exit code ${result.exitCode}${last ? `: ${last}` : '.'}`, {
      command,
      exitCode: result.exitCode,
      logTail: result.stdout + result.stderr,
    })
  }

  return {
    run,
    kernel,
    programs: Object.keys(programs),
    /** Every command in its order, those that jail(8) started among them. */
    commands,
    /** Those of them that the host's programs started themselves: jail(8), and what it runs. */
    nested,
    /** Makes the next commands that match answer this in place of their own answer. */
    fail: (program: string, matcher: Matcher, given: Answer, times = Number.POSITIVE_INFINITY) =>
      void injections.push({ program, matcher, answer: { exitCode: 1, ...given }, times }),
    hang: (program: string, matcher: Matcher) =>
      void injections.push({ program, matcher, answer: { stderr: hangs }, times: Number.POSITIVE_INFINITY }),
    /** A program that is served leaves a process that keeps its outputs open, whose pid is then in `socket.held` beside it. */
    hold: (program: string, matcher: Matcher) => void holds.push({ program, matcher }),
    heal: () => void injections.splice(0),
    /** Puts an executable for each program into a directory, for a worker that really starts them. */
    serve: (place: string) =>
      standIns(
        place,
        Object.keys(programs).filter((program) => program !== 'tar' && program !== 'sh'),
        async (program, args, options) => ({
          ...complete(await answer([program, ...args], options)),
          holds: holds.some((each) => each.program === program && matches(each.matcher, args)),
        }),
      ),
  }
}

const hangs = '\0hangs'

function matches(matcher: Matcher, args: string[]): boolean {
  if (typeof matcher === 'function') return matcher(args)
  const line = args.join(' ')
  return typeof matcher === 'string' ? line.includes(matcher) : matcher.test(line)
}

function complete({ exitCode = 0, stdout = '', stderr = '' }: Answer): CommandResult {
  return { exitCode, stdout, stderr }
}

function ended({ signal, timeoutMs }: CommandOptions): Promise<void> {
  return new Promise((resolve) => {
    if (timeoutMs !== undefined) setTimeout(resolve, timeoutMs)
    signal?.addEventListener('abort', () => resolve())
  })
}
