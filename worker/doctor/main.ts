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
  if (values.try) checks.push(...(await tryUntilTold(config)))
  process.stdout.write(values.json ? `${JSON.stringify({ checks })}\n` : checks.map(toLine).join(''))
  process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}

/** What a trial is told ends it in order: nothing of it stays. */
async function tryUntilTold(config: WorkerConfig): Promise<Check[]> {
  const told = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => told.abort())
  return tryHost(config, told.signal).catch((error) => {
    const detail = `No jail was tried: ${error instanceof Error ? error.message : error}`
    return [{ name: 'trial', ok: false, detail, remedy: 'Mend that, then try again.' }]
  })
}

/** A check that is ok may still have a remedy: it is a note. */
function toLine({ name, ok, detail, remedy }: Check): string {
  const mark = ok ? (remedy ? 'note  ' : 'ok    ') : 'FAILED'
  return `${mark} ${name}: ${detail}\n${remedy ? `       ${remedy}\n` : ''}`
}
