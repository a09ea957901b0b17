import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { runService } from '#shared/run-service.ts'
import { readProducerConfig } from './config.ts'
import { startProducer } from './start-producer.ts'

const { values } = parseArgs({ options: { config: { type: 'string' } } })
const log = pino({ level: process.env['PROVOST_LOG_LEVEL'] ?? 'info' })
await runService(() => startProducer(readProducerConfig(process.env, values.config), log), log)
