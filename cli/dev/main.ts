import { resolve } from 'node:path'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { ConfigError, readYaml } from '#shared/process/read-config.ts'
import { version } from '#shared/process/version.ts'
import { chooseHosts } from './choose-hosts.ts'
import { endPreviousStart, StartFailed } from './end-previous-start.ts'
import { lockState } from './lock-state.ts'
import { isPortFree } from './processes/free-port.ts'
import { type Fleet, runFleet } from './run-fleet.ts'
import { openState } from './state-directory.ts'

type DevOptions = { port: number; state: string; key?: string; hosts: number; config?: string }

const print = (line: string) => process.stdout.write(`${line}\n`)
// Its reader may be gone; that must not end the processes that were started.
process.stdout.on('error', () => {})

const program = new Command('provost dev')
  .version(version, '--version')
  .description(
    'Everything in one place, for trials and tests: Redis, the producer, and a worker for each host, each a process of its own.\n' +
      'Nothing that is killed is started again; a new start on the same state goes on. Jails outlive it.',
  )
  .option('--port <port>', 'where the producer listens on 127.0.0.1; 0 takes a free one', wholeNumber(0, 65_535), 7070)
  .option('--state <directory>', 'where everything is kept', '/var/lib/provost-dev')
  .option('--key <key>', 'the API key (default: one that is made once and kept in the state)')
  .option('--hosts <count>', 'how many hosts', wholeNumber(1, 100), 1)
  .option('--config <file>', "a worker.yaml to lay over each host's defaults: maps are merged, and worlds by their name")
  .exitOverride()
  .action(run)

try {
  await program.parseAsync()
} catch (error) {
  process.exit(printError(error))
}

async function run(options: DevOptions): Promise<void> {
  const overrides = options.config ? readOverrides(options.config, options.hosts) : {}
  checkMachine()
  const state = openState(resolve(options.state))
  await lockState(state)
  const ids = Array.from({ length: options.hosts }, (_, i) => overrides.id ?? `dev-${i + 1}`)
  await endPreviousStart(state, [...new Set([...ids, ...(state.chosen().hosts ?? []).map(({ id }) => id)])], print)

  if (options.port > 0 && !(await isPortFree(options.port)))
    throw new StartFailed(`Port ${options.port} on 127.0.0.1 is in use; choose another with --port.`)
  const { port, redisPort, hosts } = await chooseHosts(state, options.hosts, options.port)
  const key = options.key ?? state.key()

  print(`state ${state.path}`)
  if (!options.key) print(`key ${key}`)
  const named = hosts.map((host, i) => ({ ...host, id: ids[i] ?? host.id }))
  const fleet = runFleet({ state, port, key, redisPort, hosts: named, overrides: overrides.file ?? {}, print })
  const signals = endBySignals(fleet)
  try {
    await fleet.ready
  } catch (error) {
    // The handler of the signal ends this process.
    if (signals.count > 0) return
    await fleet.stop()
    throw error
  }
  print(`ready http://127.0.0.1:${port}`)
}

/** The first signal ends all processes in order, the second at once. */
function endBySignals(fleet: Fleet): { count: number } {
  const signals = { count: 0 }
  const onSignal = () => {
    signals.count += 1
    if (signals.count === 1) {
      print('stopping; jails go on running. A second signal ends at once.')
      fleet.stop().then(
        () => process.exit(0),
        (error) => process.exit(printError(error)),
      )
      return
    }
    fleet.kill()
    process.exit(1)
  }
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, onSignal)
  // Signal handlers alone do not keep a process alive. It must outlive its last child, to end workers started by hand as well.
  setInterval(() => {}, 2 ** 30)
  return signals
}

function checkMachine(): void {
  if (process.platform !== 'linux')
    throw new StartFailed(`provost dev runs on Linux, and this is ${process.platform}. Here, run the producer and a worker.`)
  if (process.getuid?.() !== 0)
    throw new StartFailed(
      'provost dev must run as root: its hosts make mounts, network interfaces, namespaces and cgroups. Start it with sudo.',
    )
}

function readOverrides(path: string, hosts: number): { id?: string; file?: Record<string, unknown> } {
  const file = readYaml(path)
  if (typeof file !== 'object' || file === null || Array.isArray(file))
    throw new ConfigError(`${path} is not right: it must be a map.`)
  const { host } = file as { host?: unknown }
  if (host !== undefined && hosts > 1)
    throw new ConfigError(`${path} is not right: host: names one host, and --hosts asks for ${hosts}.`)
  return { file: file as Record<string, unknown>, ...(typeof host === 'string' ? { id: host } : {}) }
}

function wholeNumber(min: number, max: number) {
  return (text: string) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
    return value
  }
}

/** Prints what went wrong and returns the exit status for it. */
function printError(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const isExpected = error instanceof ConfigError || error instanceof StartFailed
  process.stderr.write(
    `${isExpected ? error.message : `This is a fault of Provost: ${error instanceof Error ? error.stack : error}`}\n`,
  )
  return error instanceof ConfigError ? 2 : 1
}
