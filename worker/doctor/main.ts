import { readArguments } from '#shared/process/read-arguments.ts'
import { ConfigError } from '#shared/process/read-config.ts'
import { readUnconfigured, readWorkerConfig, type WorkerConfig } from '../config/config.ts'
import { runChecks } from '../host/checks/check-result.ts'
import type { Check } from '../host/host-runtime.ts'
import { makeRuntime } from '../host/make-runtime.ts'
import { commandRunner } from '../host/programs/run-command.ts'
import { adviceChecks } from './advice.ts'
import { isOfMachine, machineConfig, noConfiguration } from './machine-config.ts'
import { tryHost } from './try/try-host.ts'

/**
 * Prints whether this host is fit to be a worker, or could be: each check and its remedy; with `--try`, also what a jail that is made
 * for it could do. Exits with 1 if one failed.
 */
const values = readArguments('Usage: provost doctor [--config FILE] [--try] [--json]', {
  config: { type: 'string' },
  try: { type: 'boolean' },
  json: { type: 'boolean' },
})
try {
  const unconfigured = readUnconfigured(process.env, values.config)
  const config = unconfigured ? machineConfig(unconfigured) : readWorkerConfig(process.env, values.config)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  const advice = await runChecks(await adviceChecks({ run, config }))
  const needed = await makeRuntime({ run, config }).check()
  const all = [...needed.filter(({ name }) => !advice.some((other) => other.name === name)), ...advice]
  const checks = unconfigured
    ? [{ name: 'configuration', ...noConfiguration(unconfigured.file, config) }, ...all.filter(isOfMachine)]
    : all
  if (values.try) checks.push(...(await tryIfFit(checks, config)))
  process.stdout.write(values.json ? `${JSON.stringify({ checks })}\n` : checks.map(toLine).join(''))
  process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}

/** A jail is only tried where one can be made. */
async function tryIfFit(checks: Check[], config: WorkerConfig): Promise<Check[]> {
  const failed = checks.filter(({ ok }) => !ok)
  if (failed.length > 0)
    return [
      {
        name: 'trial',
        ok: false,
        detail: 'No jail was made.',
        remedy: `First mend ${failed.map(({ name }) => name).join(', ')}.`,
      },
    ]
  const ended = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort())
  return tryHost(config, ended.signal).catch((error) => [
    {
      name: 'trial',
      ok: false,
      detail: error instanceof Error ? error.message : String(error),
      remedy: 'See the cause in the detail.',
    },
  ])
}

/** A check that is ok may still have a remedy: it is a note. */
function toLine({ name, ok, detail, remedy }: Check): string {
  const mark = ok ? (remedy ? 'note  ' : 'ok    ') : 'FAILED'
  return `${mark} ${name}: ${detail}\n${remedy ? `       ${remedy}\n` : ''}`
}
