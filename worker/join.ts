import { readArguments } from '#shared/process/read-arguments.ts'
import { ConfigError } from '#shared/process/read-config.ts'
import { readWorkerConfig } from './config/config.ts'
import { makeRuntime } from './host/make-runtime.ts'
import { commandRunner } from './host/programs/run-command.ts'
import { join } from './identity/join.ts'
import { identityFile } from './identity/require-identity.ts'

const usage = 'Usage: provost join TOKEN [--url URL] [--config FILE]    (without --url: PROVOST_URL)'
const isOption = (text: string | undefined) => text === undefined || text.startsWith('-')
// readArguments takes options only.
const token = isOption(process.argv[2]) ? undefined : process.argv.splice(2, 1)[0]
const values = readArguments(usage, { config: { type: 'string' }, url: { type: 'string' } })
try {
  if (token === undefined) throw new ConfigError(usage)
  const config = readWorkerConfig(process.env, values.config)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  const directory = config.identity ? '' : await makeRuntime({ run, config }).open()
  const file = identityFile(config, directory)
  await join(values.url ?? config.producerUrl, token, config.host, file)
  process.stdout.write(`Host ${config.host} has joined the fleet. What it is known by is in ${file}, readable for root alone.\n`)
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : `This is a fault of Provost: ${error}`}\n`)
  process.exitCode = error instanceof ConfigError ? 2 : 1
}
