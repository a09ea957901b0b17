import type { Redis } from 'ioredis'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { CommandRecord } from '../host/programs/run-command.ts'

/** What an operation did on this host, as text for a person: its steps, their commands, what they printed. */
export type OperationLog = { heading(text: string): void; note(text: string): void; record(command: CommandRecord): void }

const keptSeconds = 30 * 24 * 3_600
const keptChunks = 2_000

/** Opens a log that is kept in a Redis list of this host's own. Nothing waits for it, or fails when it cannot be written. */
export function openOperationLog(redis: Redis, key: string): OperationLog {
  const append = (text: string) => {
    redis
      .pipeline()
      .rpush(key, text)
      .ltrim(key, -keptChunks, -1)
      .expire(key, keptSeconds)
      .exec()
      .catch(() => undefined)
  }
  return {
    heading: (text) => append(`\n== ${fleetTime().toISOString()} ${text}\n`),
    note: (text) => append(`${text}\n`),
    record({ command, exitCode, output, durationMs }) {
      const ending = exitCode === null ? 'was ended' : `exit ${exitCode}`
      append(
        `$ ${command}\n${output}${output === '' || output.endsWith('\n') ? '' : '\n'}-> ${ending}, ${Math.round(durationMs)} ms\n`,
      )
    },
  }
}
