import { AsyncLocalStorage } from 'node:async_hooks'
import type { ChildProcess } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { v7 as uuid } from 'uuid'
import { hideCredentials } from '#shared/credentials.ts'
import { isNoRoom, ProvostError } from '#shared/errors.ts'
import { commandLine } from './command-line.ts'
import { followFile } from './follow-file.ts'
import { describeFault, faultNamedIn } from './host-faults.ts'

export type CommandResult = { exitCode: number; stdout: string; stderr: string }

export type CommandOptions = {
  signal?: AbortSignal | undefined
  timeoutMs?: number
  /** The command's standard input; by default /dev/null. */
  input?: string
  cwd?: string
  env?: Record<string, string>
  /** Exit codes that are an answer and not a failure, besides 0. */
  okExitCodes?: number[]
  /** Called with each new part of the output that `follow` names, while the command runs. */
  onOutput?(text: string): void
  /** By default `stdout`; bsdtar(1) lists on its standard error. */
  follow?: 'stdout' | 'stderr'
  /** Both outputs are appended to this file, which may stay open after the command has ended. */
  outputFile?: string
  /**
   * What the command leaves running keeps its input and outputs: they lead nowhere once it has ended, and are no files of the host. What it
   * prints is lost.
   */
  isDetached?: boolean
  /** An open file that the command gets as its descriptor 3. */
  descriptor?: number
}

/**
 * Runs a program with its arguments, never through a shell.
 * @throws ProvostError `command_failed`, `program_missing`, `step_timeout`, `disk_full`, `host_exhausted`.
 */
export type RunCommand = (program: string, args: string[], options?: CommandOptions) => Promise<CommandResult>

/** One finished command, for an operation's log. */
export type CommandRecord = { command: string; exitCode: number | null; output: string; durationMs: number }

/** What commands are run for. Their environment has it, so that a later worker can end what they left running. */
type Purpose = { operation: string; record(command: CommandRecord): void }
const purpose = new AsyncLocalStorage<Purpose>()

/** Runs `work`; every command in it has the operation in its environment and is recorded in its log. */
export function onBehalfOf<T>(operation: string, record: (command: CommandRecord) => void, work: () => Promise<T>): Promise<T> {
  return purpose.run({ operation, record }, work)
}

const forceKillAfterMs = 5_000
const tailBytes = 4_096
const outputCapBytes = 4 * 1024 * 1024

/**
 * Returns what runs commands: the only place that starts a process. Outputs go to files without a name, not to pipes: nobody has
 * to wait for a daemon that keeps them open, and a worker that dies breaks no pipe of a command that goes on.
 *
 * `commandPath` is where programs are looked for; `worker` marks the children of one host's workers.
 */
export function commandRunner({ commandPath, worker }: { commandPath: string; worker: string }): RunCommand {
  const paths = new Map<string, string>()
  const pathOf = (program: string) => {
    const path = paths.get(program) ?? findProgram(program, commandPath)
    if (!path) throw new ProvostError('program_missing', `The program ${program} is not in ${commandPath}.`)
    paths.set(program, path)
    return path
  }
  return async (program, args, options = {}) => {
    const started = performance.now()
    const path = pathOf(program)
    const outputs = options.outputFile ? await appendTo(options.outputFile) : await namelessFiles()
    const work = purpose.getStore()
    try {
      const child = execa(path, args, {
        stdio: descriptors(options, outputs),
        ...(options.input === undefined ? {} : { input: options.input }),
        buffer: false,
        extendEnv: false,
        env: {
          PATH: commandPath,
          LC_ALL: 'C',
          ...options.env,
          PROVOST_WORKER: worker,
          ...(work ? { PROVOST_OPERATION: work.operation } : {}),
        },
        ...(options.cwd ? { cwd: options.cwd } : {}),
        ...(options.signal ? { cancelSignal: options.signal } : {}),
        ...(options.timeoutMs ? { timeout: options.timeoutMs } : {}),
        killDescendants: true,
        forceKillAfterDelay: forceKillAfterMs,
        cleanup: false,
        reject: false,
      })
      if (options.isDetached) letGo(child.nodeChildProcess)
      const follow = options.onOutput ? followFile(outputs[options.follow ?? 'stdout'], options.onOutput) : undefined
      const result = await child
      await follow?.end()

      const [stdout, stderr] = options.outputFile ? ['', ''] : [await contentOf(outputs.stdout), await contentOf(outputs.stderr)]
      const command = commandLine([program, ...args])
      const exitCode = result.exitCode ?? null
      work?.record({ command, exitCode, output: tail(hideCredentials(stdout + stderr)), durationMs: performance.now() - started })

      if (options.signal?.aborted) throw options.signal.reason
      if (result.exitCode !== undefined && (result.exitCode === 0 || options.okExitCodes?.includes(result.exitCode)))
        return { exitCode: result.exitCode, stdout, stderr }
      throw failureOf(program, command, result, stdout, stderr)
    } finally {
      await outputs.stdout.close()
      if (outputs.stderr !== outputs.stdout) await outputs.stderr.close()
    }
  }
}

// The types of execa allow descriptors from 0 to 9; it takes any.
function descriptors({ input, descriptor, isDetached }: CommandOptions, { stdout, stderr }: Outputs) {
  if (isDetached) return ['pipe', 'pipe', 'pipe'] as const
  const stdin = input === undefined ? ('ignore' as const) : ('pipe' as const)
  return [stdin, stdout.fd as 3, stderr.fd as 3, ...(descriptor === undefined ? [] : [descriptor as 3])] as const
}

/** Sockets of a pair, of which this end closes with the command: who has the other reads the end of input, and writes into nothing. */
function letGo(child: ChildProcess): void {
  const streams = [child.stdin, child.stdout, child.stderr]
  for (const stream of streams) stream?.on('error', () => undefined)
  child.stdin?.end()
  child.stdout?.resume()
  child.stderr?.resume()
  child.once('exit', () => {
    for (const stream of streams) stream?.destroy()
  })
}

/** Returns the absolute path of a program in a `:`-separated list of directories. */
export function findProgram(program: string, commandPath: string): string | undefined {
  const candidates = program.startsWith('/') ? [program] : commandPath.split(':').map((directory) => join(directory, program))
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

type Ending = { exitCode?: number | undefined; signal?: string | undefined; timedOut: boolean; code?: string | undefined }

function failureOf(program: string, command: string, result: Ending, stdout: string, stderr: string): ProvostError {
  const how = result.timedOut
    ? 'did not end in its time'
    : result.exitCode === undefined
      ? `was ended by ${result.signal ?? result.code ?? 'an unknown cause'}`
      : `ended with exit code ${result.exitCode}`
  const logTail = tail(hideCredentials(stdout + stderr))
  const lastLine = (stderr.trim() || stdout.trim()).split('\n').at(-1)
  const facts = { command, logTail, ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }) }
  // A process that could not be made has printed nothing.
  if (isNoRoom(result.code))
    return new ProvostError('host_exhausted', describeFault('host_exhausted', program, result.code), facts)
  const fault = faultNamedIn(logTail)
  if (fault) return new ProvostError(fault, describeFault(fault, program, lastLine), facts)
  return new ProvostError(
    result.timedOut ? 'step_timeout' : 'command_failed',
    `${program} ${how}${lastLine ? `: ${lastLine}` : '.'}`,
    facts,
  )
}

type Outputs = { stdout: FileHandle; stderr: FileHandle }

async function namelessFiles(): Promise<Outputs> {
  const [stdout, stderr] = await Promise.all([namelessFile(), namelessFile()])
  return { stdout, stderr }
}

async function namelessFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `provost-${uuid()}`)
  const file = await open(path, 'wx+', 0o600)
  await unlink(path)
  return file
}

async function appendTo(path: string): Promise<Outputs> {
  const file = await open(path, 'a', 0o600)
  return { stdout: file, stderr: file }
}

async function contentOf(file: FileHandle): Promise<string> {
  const { size } = await file.stat()
  const start = Math.max(0, size - outputCapBytes)
  const buffer = Buffer.alloc(size - start)
  await file.read(buffer, 0, buffer.length, start)
  return buffer.toString('utf8')
}

function tail(text: string): string {
  return text.length > tailBytes ? `…${text.slice(-tailBytes)}` : text
}
