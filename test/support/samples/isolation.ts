import type { Isolation } from '#shared/jail.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'

/** What a host answers that proves nothing because it makes no jails. */
export function simulatedIsolation(): Isolation {
  const names = ['hostname', 'addresses', 'processes', 'root', 'devices', 'privileges']
  return { checkedAt: fleetTime().toISOString(), checks: names.map((name) => ({ name, ok: true, detail: 'simulated' })) }
}
