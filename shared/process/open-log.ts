import { type Logger, pino } from 'pino'

const { err: serializeError } = pino.stdSerializers

/**
 * Opens the log of a service. An error of Redis names its command, but not what that was given: it may be a password (AUTH), or
 * the whole of a record.
 */
export function openLog(level = 'info', destination = pino.destination(1)): Logger {
  return pino({ level, serializers: { err: withoutArguments } }, destination)
}

function withoutArguments(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { command, previousErrors: _, ...rest } = serializeError(error) as Record<string, unknown>
  const name = typeof command === 'object' && command !== null && 'name' in command ? command.name : command
  return { ...rest, ...(name === undefined ? {} : { command: name }) }
}
