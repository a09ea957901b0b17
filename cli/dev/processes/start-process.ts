import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { execa } from 'execa'
import { type ProcessRecord, recordProcess } from './process-record.ts'

export type Started = {
  record: ProcessRecord
  /** Settles when it has ended, with a text that says how. */
  ended: Promise<string>
  /** The last lines it has written since its start. */
  logTail(): string[]
  logFile: string
}

const tailBytes = 8_192
const tailLines = 20

type Start = { name: string; program: string; args: string[]; env?: Record<string, string>; logFile: string }

/**
 * Starts a process that outlives this one, with its output in a file. It gets a session of its own, so that a Ctrl-C reaches
 * only this process, which ends the others in order. @throws Error when it cannot be started or ends at once
 */
export function startProcess({ name, program, args, env = {}, logFile }: Start): Started {
  const log = openSync(logFile, 'a', 0o600)
  const start = fstatSync(log).size
  const child = execa(program, args, {
    stdin: 'ignore',
    stdout: log as 3,
    stderr: log as 3,
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
    extendEnv: false,
    env: { ...plainEnvironment(), ...env },
  })
  closeSync(log)
  const ended = child.then(({ exitCode, signal, originalMessage }) =>
    signal
      ? `was ended by ${signal}`
      : exitCode === undefined
        ? `could not be started: ${originalMessage}`
        : `ended with ${exitCode}`,
  )
  if (child.pid === undefined) throw new Error(`${program} cannot be started; is it installed?`)
  return { record: recordProcess(name, child.pid), ended, logFile, logTail: () => readTail(logFile, start) }
}

/** Starts a producer or a worker of this source tree. */
export function startService(kind: 'producer' | 'worker', start: Omit<Start, 'program' | 'args'>): Started {
  const file = new URL(`../../../${kind}/main.ts`, import.meta.url).pathname
  return startProcess({ ...start, program: process.execPath, args: [file] })
}

/** This environment without settings of Provost: they are meant for another fleet. */
function plainEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PROVOST_') || name === 'PROVOST_LOG_LEVEL')
  return Object.fromEntries(kept.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

function readTail(path: string, from: number): string[] {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const start = Math.max(from, size - tailBytes)
    const buffer = Buffer.alloc(Math.max(0, size - start))
    readSync(file, buffer, 0, buffer.length, start)
    const lines = buffer.toString('utf8').trimEnd().split('\n')
    return lines.slice(-tailLines)
  } finally {
    closeSync(file)
  }
}
