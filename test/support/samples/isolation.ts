import type { Isolation } from '#shared/jail.ts'

/** What a host answers that proves nothing because it makes no jails. */
export function simulatedIsolation(): Isolation {
  const names = ['hostname', 'addresses', 'processes', 'root', 'devices', 'privileges']
  return { checkedAt: new Date().toISOString(), checks: names.map((name) => ({ name, ok: true, detail: 'simulated' })) }
}
