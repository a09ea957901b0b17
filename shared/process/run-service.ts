import type { Logger } from 'pino'
import { ProvostError } from '../errors.ts'
import { ConfigError } from './read-config.ts'

/**
 * A running service. `stop` ends it gracefully; `kill`, if present, aborts what still runs. `failed`, if present, settles when it
 * cannot go on, with the reason.
 */
export type Service = { stop(): Promise<void>; kill?(): void; failed?: Promise<ProvostError> }

/**
 * Starts a service and ends it on signals: the first SIGTERM or SIGINT stops it gracefully, the second at once. A
 * `ConfigError` of `start` is printed, with exit status 2, a `ProvostError` with 1, also one for which it cannot go on.
 */
export async function runService(start: () => Promise<Service>, log: Logger): Promise<void> {
  let service: Service | undefined
  let signals = 0
  const onSignal = (signal: string) => {
    signals += 1
    if (signals > 1) {
      log.warn({ signal }, 'second signal: ending at once')
      service?.kill?.()
      process.exit(1)
    }
    log.info({ signal }, 'stopping; a second signal ends at once')
    if (!service) process.exit(0)
    stop(service, 0)
  }
  const stop = (running: Service, status: number) =>
    running.stop().then(
      () => process.exit(status),
      (error) => {
        log.error({ err: error }, 'could not stop in order')
        process.exit(1)
      },
    )
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  try {
    service = await start()
    const running = service
    running.failed?.then((error) => {
      printFault(error)
      // A signal from now on ends at once.
      signals += 1
      void stop(running, 1)
    })
  } catch (error) {
    if (error instanceof ProvostError) printFault(error)
    else if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`)
    else throw error
    process.exit(error instanceof ConfigError ? 2 : 1)
  }
}

function printFault({ message, hint }: ProvostError): void {
  process.stderr.write(`${message}\n${hint}\n`)
}
