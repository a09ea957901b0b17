import type { Logger } from 'pino'

/**
 * Part of a process that runs until it is stopped: a connection, a server, repeated work. `halt`: begins nothing more by itself;
 * called before the first service is stopped, as those that are stopped later would go on meanwhile.
 */
export type Running = { name: string; halt?(): void; stop(): unknown }

export type Services = ReturnType<typeof makeServices>

/** Keeps the services of a process in the order of their start, and stops them one after another in reverse. */
export function makeServices(log: Pick<Logger, 'warn'>) {
  const started: Running[] = []
  return {
    /** Adds a service that has just been started, and returns it. */
    add<R extends Running>(service: R): R {
      started.push(service)
      return service
    },
    /** Stops all services, also after a failure of one. @throws the first failure. */
    async stop(): Promise<void> {
      const failures: unknown[] = []
      for (const { halt } of started) halt?.()
      for (const { name, stop } of started.toReversed())
        try {
          await stop()
        } catch (error) {
          log.warn({ err: error, service: name }, 'could not be stopped in order')
          failures.push(error)
        }
      if (failures.length > 0) throw failures[0]
    },
  }
}
