const redisFaults = /^(OOM|READONLY|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|CLUSTERDOWN|NOAUTH|NOPERM|UNBLOCKED)\b/
const connectionFaults =
  /Connection is closed|Stream isn't writeable|Command timed out|ECONNREFUSED|ECONNRESET|EPIPE|max retries per request|aborted due to connection close|Socket timeout/i

/** Whether an error means that Redis is away, full, or not the writable one. */
export function isRedisAway(error: Error): boolean {
  return redisFaults.test(error.message) || connectionFaults.test(error.message)
}
