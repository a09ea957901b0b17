import type { Logger } from 'pino'

/** What runs in this process until it is stopped: a connection, a door, work that is repeated. */
export type Running = { name: string; stop(): unknown }

export type Services = ReturnType<typeof makeServices>

/** The services of a process in the order in which they were started; they are stopped in the reverse of it, one after another. */
export function makeServices(log: Pick<Logger, 'warn'>) {
  const started: Running[] = []
  return {
    /** Takes up a service that has just been started. */
    add<R extends Running>(service: R): R {
      started.push(service)
      return service
    },
    /** One that cannot be stopped in order keeps none of the others from it. */
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
