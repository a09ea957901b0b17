import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { readArguments } from '#shared/process/read-arguments.ts'
import { runService } from '#shared/process/run-service.ts'
import { readWorkerConfig } from '../../../../worker/config/config.ts'
import { commandRunner } from '../../../../worker/host/programs/run-command.ts'
import { type JournalFiles, journalFiles } from '../../../../worker/journal/file.ts'
import { startWorker } from '../../../../worker/start/start-worker.ts'
import { type Bug, plantInWorker } from '../faults/bugs.ts'
import { diskHost } from './disk-host.ts'
import { readControl } from './host-files.ts'

/** The worker of a simulated host, as a process of its own: all of it but the runtime is what runs on real hosts. */
const values = readArguments('worker.ts --config FILE [--bug NAME]', { config: { type: 'string' }, bug: { type: 'string' } })
const bug = values.bug as Bug | undefined
const log = pino({ level: 'info' })

/** As quick as everything else in these trials. */
const retry = { maxAttempts: 6, firstDelayMs: 20, maxDelayMs: 400, keepSlotMs: 100 }

/** A journal on a disk that is as slow as the rest of its host, and at times has no room for a write. */
function filesOfHost(control: string): JournalFiles {
  async function wait(): Promise<void> {
    const { slowMs } = readControl(control)
    if (slowMs > 0) await sleep((Math.random() * slowMs) / 4)
  }
  async function findRoom(): Promise<void> {
    if (readControl(control).isFull && Math.random() < 0.5)
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  }
  return {
    write: (file, text) =>
      wait()
        .then(findRoom)
        .then(() => journalFiles.write(file, text)),
    rename: (from, to) => wait().then(() => journalFiles.rename(from, to)),
    remove: (path) => wait().then(() => journalFiles.remove(path)),
  }
}

await runService(async () => {
  const config = readWorkerConfig(process.env, values.config)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  const host = diskHost({ root: config.root, run, skipsUndo: bug === 'undo skipped' })
  const files = filesOfHost(join(config.root, 'control.json'))
  return startWorker(config, { host, run, log, retry, files, amend: plantInWorker(bug, config) })
}, log)
