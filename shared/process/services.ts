import type { Logger } from 'pino'

/** Part of a process that runs until it is stopped: a connection, a server, repeated work. */
export type Running = { name: string; stop(): unknown }

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
    /** Stops all services; a failure of one is logged and the others are still stopped. */
    async stop(): Promise<void> {
      for (const { name, stop } of started.toReversed())
        try {
          await stop()
        } catch (error) {
          log.warn({ err: error, service: name }, 'could not be stopped in order')
        }
    },
  }
}
