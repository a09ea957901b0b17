import { findProcesses } from './processes/find-processes.ts'
import { endProcess, isRunning, type ProcessRecord } from './processes/process-record.ts'
import type { StateDirectory } from './state-directory.ts'

const patienceMs = 5_000

/** `provost dev` cannot start. The message is for the person who started it. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed'
}

/**
 * Ends the processes that a killed `provost dev` left running on the same state, workers first: none must run twice.
 * @throws StartFailed when that `provost dev` still runs
 */
export async function endPreviousStart(state: StateDirectory, hosts: string[], print: (line: string) => void): Promise<void> {
  const records = state.processes()
  const before = records.find(({ name, pid }) => name === 'dev' && pid !== process.pid)
  if (before && isRunning(before)) throw new StartFailed(`provost dev runs on ${state.path} already, as process ${before.pid}.`)
  const known = (name: RegExp) => records.filter((record) => name.test(record.name) && isRunning(record))
  await endAll([...known(/^worker /), ...hosts.flatMap((id) => findProcesses(`worker ${id}`, state.workerFile(id)))], print)
  await endAll([...known(/^producer$/), ...findProcesses('producer', state.producerFile)], print)
  await endAll(known(/^redis$/), print)
}

async function endAll(records: ProcessRecord[], print: (line: string) => void): Promise<void> {
  const single = [...new Map(records.map((record) => [record.pid, record])).values()]
  for (const { name, pid } of single) print(`ending ${name} of the start before, pid ${pid}`)
  await Promise.all(single.map((record) => endProcess(record, patienceMs)))
}
