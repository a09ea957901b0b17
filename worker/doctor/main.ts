import { readArguments } from '#shared/process/read-arguments.ts'
import { ConfigError } from '#shared/process/read-config.ts'
import { readWorkerConfig } from '../config/config.ts'
import { runChecks } from '../host/checks/check-result.ts'
import type { Check } from '../host/host-runtime.ts'
import { makeRuntime } from '../host/make-runtime.ts'
import { commandRunner } from '../host/programs/run-command.ts'
import { adviceChecks } from './advice.ts'

/** Prints whether this host is fit to be a worker: each check and its remedy. Exits with 1 if one failed. */
const values = readArguments('Usage: provost doctor [--config FILE] [--json]', {
  config: { type: 'string' },
  json: { type: 'boolean' },
})
try {
  const config = readWorkerConfig(process.env, values.config)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  const advice = await runChecks(await adviceChecks({ run, config }))
  const needed = await makeRuntime({ run, config }).check()
  const checks = [...needed.filter(({ name }) => !advice.some((other) => other.name === name)), ...advice]
  process.stdout.write(values.json ? `${JSON.stringify({ checks })}\n` : checks.map(toLine).join(''))
  process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}

/** A check that is ok may still have a remedy: it is a note. */
function toLine({ name, ok, detail, remedy }: Check): string {
  const mark = ok ? (remedy ? 'note  ' : 'ok    ') : 'FAILED'
  return `${mark} ${name}: ${detail}\n${remedy ? `       ${remedy}\n` : ''}`
}
