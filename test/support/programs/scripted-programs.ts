import { ProvostError } from '#shared/errors.ts'
import type { CommandOptions, RunCommand } from '../../../worker/host/programs/run-command.ts'

export type Say = { stdout(text: string): void; stderr(text: string): void }
/** What a program does when it is started. Returns its exit code, or nothing for 0. */
export type Script = (args: string[], say: Say, options: CommandOptions) => number | undefined | Promise<number | undefined>

/** Programs that answer as a test says, with the output given on as it comes; knows nothing of who asks. */
export function scriptedPrograms(scripts: Record<string, Script>) {
  const commands: string[][] = []
  const environments: Record<string, string>[] = []
  const run: RunCommand = async (program, args, options = {}) => {
    commands.push([program, ...args])
    environments.push(options.env ?? {})
    const script = scripts[program]
    if (!script) throw new ProvostError('program_missing', `The program ${program} is not in /scripted.`)
    const said = { stdout: '', stderr: '' }
    const write = (output: 'stdout' | 'stderr') => (text: string) => {
      said[output] += text
      if ((options.follow ?? 'stdout') === output) options.onOutput?.(text)
    }
    const exitCode = (await script(args, { stdout: write('stdout'), stderr: write('stderr') }, options)) ?? 0
    options.signal?.throwIfAborted()
    if (exitCode === 0 || options.okExitCodes?.includes(exitCode)) return { exitCode, ...said }
    const last = (said.stderr.trim() || said.stdout.trim()).split('\n').at(-1)
    throw new ProvostError('command_failed', `${program} ended with exit code ${exitCode}${last ? `: ${last}` : '.'}`, {
      command: [program, ...args].join(' '),
      exitCode,
      logTail: (said.stdout + said.stderr).slice(-4_096),
    })
  }
  return { run, commands, environments }
}

/** freebsd-version(1) of a host. */
export const kernel =
  (version: string): Script =>
  (_, say) =>
    void say.stdout(`${version}\n`)

const dashes = '-'.repeat(62)
const milestone = (title: string) => `${dashes}\n>>> ${title}\n${dashes}\n`

/** What make buildworld of 14 and before says; 4.3 is everything, and lib32 comes after it. */
export const olderBuild = [
  'World build started on Mon Mar  4 10:00:00 UTC 2024',
  'Rebuilding the temporary build tree',
  'stage 1.1: legacy release compatibility shims',
  'stage 1.2: bootstrap tools',
  'stage 2.1: cleaning up the object tree',
  'stage 2.2: rebuilding the object tree',
  'stage 2.3: build tools',
  'stage 3: cross tools',
  'stage 3.1: recording compiler metadata',
  'stage 4.1: building includes',
  'stage 4.2: building libraries',
  'stage 4.3: building everything',
  'stage 5.1: building lib32 shim libraries',
  'World build completed on Mon Mar  4 12:24:55 UTC 2024',
  'World built in 8695 seconds, ncpu: 8, make -j8',
]

/** And of 15 and 16; lib32 comes before everything, and some stages are only in some modes. */
export const newerBuild = [
  'World build started on Mon Mar  2 10:00:00 UTC 2026',
  'Rebuilding the temporary build tree',
  'stage 1.1: legacy release compatibility shims',
  'stage 1.2: bootstrap tools',
  'Deleting stale dependencies...',
  'stage 2.3: build tools',
  'stage 3: cross tools',
  'stage 3.1: recording build metadata',
  'stage 4.1: building includes',
  'stage 4.2: building libraries',
  'stage 4.3.1: building lib32 shim libraries',
  'stage 4.4: building everything',
  'World build completed on Mon Mar  2 10:45:23 UTC 2026',
  'World built in 2723 seconds, ncpu: 56, make -j56',
]

const install = [
  'Install check world started on Mon Mar  2 11:00:00 UTC 2026',
  'Making hierarchy',
  'Installing everything started on Mon Mar  2 11:00:10 UTC 2026',
  'Installing everything completed on Mon Mar  2 11:04:00 UTC 2026',
  'Install world completed in 240 seconds, ncpu: 8, make -j8',
]

type Building = {
  stages?: string[]
  /** The target or the milestone after whose beginning it fails. */
  failAt?: string | undefined
  /** What it says then, before its last words. */
  words?: string
  /** Called as each milestone is printed: what is waited for is the silence after it. */
  pause?(title: string): Promise<void> | void
}

/** make(1) in a source tree of FreeBSD, with the milestones of Makefile.inc1 between what jobs print. */
export function makeWorld({
  stages = newerBuild,
  failAt,
  words = 'cc: error: unable to rename\n',
  pause,
}: Building = {}): Script {
  const milestones: Record<string, string[]> = { buildworld: stages, installworld: install }
  return async (args, say) => {
    const target = args.find((arg) => /^(buildworld|installworld|distrib-dirs|distribution)$/.test(arg)) ?? ''
    for (const title of [target, ...(milestones[target] ?? [])]) {
      say.stdout(title === target ? `--- ${target} ---\n` : milestone(title))
      say.stdout(`--- all_subdir_lib ---\n===> lib (all)\n`)
      say.stderr('warning: something that compilers say\n')
      await pause?.(title)
      if (failAt === undefined || !title.includes(failAt)) continue
      say.stdout(`${words}*** [thing.o] Error code 1\n\nmake[3]: stopped in /usr/src/lib\n1 error\n`)
      say.stderr('warning: and more of it\n'.repeat(400))
      return 2
    }
    return 0
  }
}
