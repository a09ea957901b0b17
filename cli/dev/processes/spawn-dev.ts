import { createInterface } from 'node:readline'
import { execa } from 'execa'
import { openState, type StateDirectory } from '../state-directory.ts'
import { endProcess, type ProcessRecord, recordProcess } from './process-record.ts'

export type Dev = {
  url: string
  key: string
  state: StateDirectory
  record: ProcessRecord
  /** The lines it has printed so far. */
  printed: string[]
  /** Ends it gracefully. */
  stop(): Promise<void>
}

const patienceMs = 60_000

/** Starts `provost dev` as a separate process and waits until it is ready. @throws Error with all that it printed */
export async function spawnDev(path: string, args: string[] = []): Promise<Dev> {
  const program = new URL('../main.ts', import.meta.url).pathname
  // In a session of its own: a Ctrl-C reaches only the process that started it, which may still need it.
  const child = execa(process.execPath, [program, '--state', path, ...args], {
    stdin: 'ignore',
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
    all: true,
  })
  const printed: string[] = []
  const url = await new Promise<string>((resolve, reject) => {
    const lines = createInterface({ input: child.all })
    lines.on('line', (line) => {
      printed.push(line)
      if (line.startsWith('ready ')) resolve(line.slice('ready '.length))
    })
    lines.on('close', () => reject(new Error(`provost dev ended before it was ready. It said:\n${printed.join('\n')}`)))
  })
  if (child.pid === undefined) throw new Error('provost dev did not start.')
  const record = recordProcess('dev', child.pid)
  const state = openState(path)
  return { url, key: state.key(), state, record, printed, stop: () => endProcess(record, patienceMs) }
}
