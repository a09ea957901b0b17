import { openLog } from '#shared/process/open-log.ts'
import { readArguments } from '#shared/process/read-arguments.ts'
import { runService } from '#shared/process/run-service.ts'
import { readWorkerConfig } from './config/config.ts'
import { makeRuntime } from './host/make-runtime.ts'
import { commandRunner } from './host/programs/run-command.ts'
import { startWorker } from './start/start-worker.ts'

const usage = 'Usage: provost worker [--config FILE]    (see docs/operate.md for what is read from the environment)'
const values = readArguments(usage, { config: { type: 'string' } })
const log = openLog(process.env['PROVOST_LOG_LEVEL'])
await runService(async () => {
  const config = readWorkerConfig(process.env, values.config)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  return startWorker(config, { host: makeRuntime({ run, config }), run, log })
}, log)
