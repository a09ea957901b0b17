import { setFlagsFromString } from 'node:v8'
import { openLog } from '#shared/process/open-log.ts'
import { readArguments } from '#shared/process/read-arguments.ts'
import { runService } from '#shared/process/run-service.ts'
import { readProducerConfig } from './config.ts'
import { openSecrets } from './secrets/secrets.ts'

// Otherwise V8 lets garbage pile up while a large batch is read (bench/batch-accept.ts). Set before most code is loaded.
setFlagsFromString('--optimize-for-size')
const { startProducer } = await import('./start-producer.ts')

const usage = 'Usage: provost producer [--config FILE]    (see docs/operate.md for what is read from the environment)'
const values = readArguments(usage, { config: { type: 'string' } })
const log = openLog(process.env['PROVOST_LOG_LEVEL'])
await runService(async () => {
  const config = readProducerConfig(process.env, values.config)
  return startProducer(config, log, openSecrets(config.secrets))
}, log)
