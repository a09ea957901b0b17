import { findProcesses } from './processes/find-processes.ts'
import type { ProcessRecord } from './processes/process-record.ts'
import { endProcess, isRunning } from './processes/process-record.ts'
import type { StateDirectory } from './state-directory.ts'

const patienceMs = 5_000

/** Why `provost dev` cannot start, in words for the person who started it. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed'
}

/**
 * Ends what a killed start left running on the same state, workers first: there must not be two of any.
 * @throws StartFailed when that start still runs.
 */
export async function takeOver(state: StateDirectory, hosts: string[], say: (line: string) => void): Promise<void> {
  const records = state.processes()
  const before = records.find(({ name, pid }) => name === 'dev' && pid !== process.pid)
  if (before && isRunning(before)) throw new StartFailed(`provost dev runs on ${state.path} already, as process ${before.pid}.`)
  const known = (name: RegExp) => records.filter((record) => name.test(record.name) && isRunning(record))
  await endAll([...known(/^worker /), ...hosts.flatMap((id) => findProcesses(`worker ${id}`, state.workerFile(id)))], say)
  await endAll([...known(/^producer$/), ...findProcesses('producer', state.producerFile)], say)
  await endAll(known(/^redis$/), say)
}

async function endAll(records: ProcessRecord[], say: (line: string) => void): Promise<void> {
  const single = [...new Map(records.map((record) => [record.pid, record])).values()]
  for (const { name, pid } of single) say(`ending ${name} of the start before, pid ${pid}`)
  await Promise.all(single.map((record) => endProcess(record, patienceMs)))
}
