import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { endProcess, isRunning, type ProcessRecord, recordProcess } from '../dev/processes/process-record.ts'
import { type Dev, spawnDev } from '../dev/processes/spawn-dev.ts'
import { openState, writeWhole } from '../dev/state-directory.ts'

const patienceMs = 60_000

/** Starts `provost dev` on the demo's own state, after ending one that a killed demo left running. */
export async function startDev(path: string, port: number): Promise<Dev> {
  const file = join(path, 'demo.json')
  const before = openState(path)
    .processes()
    .find(({ name }) => name === 'dev')
  if (before && existsSync(file)) {
    const demo = JSON.parse(readFileSync(file, 'utf8')) as ProcessRecord
    if (!isRunning(demo)) await endProcess(before, patienceMs)
  }
  writeWhole(file, JSON.stringify(recordProcess('demo', process.pid)))
  return spawnDev(path, ['--port', String(port)])
}
