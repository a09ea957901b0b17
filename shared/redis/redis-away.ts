const redisFaults = /^(OOM|READONLY|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|CLUSTERDOWN|NOAUTH|NOPERM|UNBLOCKED)\b/
const connectionFaults =
  /Connection is closed|Stream isn't writeable|Command timed out|ECONNREFUSED|ECONNRESET|EPIPE|max retries per request|aborted due to connection close|Socket timeout/i

/** Whether the fault is that Redis is away, full, or not the one that may be written. */
export function isRedisAway(error: Error): boolean {
  return redisFaults.test(error.message) || connectionFaults.test(error.message)
}
