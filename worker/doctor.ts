import { parseArgs } from 'node:util'
import { ConfigError } from '#shared/read-config.ts'
import { readWorkerConfig } from './config.ts'
import type { Check } from './host/host-runtime.ts'
import { linuxRuntime } from './host/linux/runtime.ts'
import { commandRunner } from './host/run-command.ts'

/** Says whether this host is fit to be a worker: each check, and for a failed one its remedy. Exit status 1 if one failed. */
const { values } = parseArgs({ options: { config: { type: 'string' }, json: { type: 'boolean', default: false } } })

try {
  const config = readWorkerConfig(process.env, values.config)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  const checks = await linuxRuntime({ run, config }).check()
  process.stdout.write(values.json ? `${JSON.stringify({ checks })}\n` : checks.map(toLine).join(''))
  process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}

function toLine({ name, ok, detail, remedy }: Check): string {
  return `${ok ? 'ok    ' : 'FAILED'} ${name}: ${detail}\n${!ok && remedy ? `       ${remedy}\n` : ''}`
}
