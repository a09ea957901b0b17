const writeFaults = ['OOM', 'READONLY', 'MISCONF', 'NOREPLICAS']
const redisFaults = [...writeFaults, 'LOADING', 'MASTERDOWN', 'CLUSTERDOWN', 'NOAUTH', 'NOPERM', 'UNBLOCKED']
const connectionFaults =
  /Connection is closed|Stream isn't writeable|Command timed out|ECONNREFUSED|ECONNRESET|EPIPE|max retries per request|aborted due to connection close|Socket timeout/i

/** Returns the code of an error of Redis, also of a command in a script, which Redis before 7 puts into a sentence of its own. */
const codeOf = ({ message }: Error) => /^(?:ERR Error running script .*? -)?([A-Z]+)\b/.exec(message)?.[1] ?? ''

/** Whether an error means that Redis is away, full, or not the writable one. */
export function isRedisAway(error: Error): boolean {
  return redisFaults.includes(codeOf(error)) || connectionFaults.test(error.message)
}

/** Whether an error means that Redis takes no writes: it is full, a replica, lacks replicas, or cannot write to its disk. */
export const isWriteRefused = (error: Error): boolean => writeFaults.includes(codeOf(error))
