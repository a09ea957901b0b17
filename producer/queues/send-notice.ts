import type { HostNotice } from '#shared/job.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { withSignature } from '#shared/signing/signatures.ts'
import type { Store } from '../records/store.ts'

/** Later than this a worker does not act on it: a cancel has its flag, and for the others nobody waits any more. */
const noticeLastsMs = 60_000

/** Signs a notice and sends it to the worker of a host. Returns how many have received it. */
export function sendNotice({ redis, keys, secrets }: Store, host: string, notice: HostNotice): Promise<number> {
  const expiresAt = new Date(fleetTimeMs() + noticeLastsMs).toISOString()
  return redis.publish(
    keys.notices(host),
    JSON.stringify(withSignature('notice', { ...notice, host, expiresAt }, secrets.signer)),
  )
}
