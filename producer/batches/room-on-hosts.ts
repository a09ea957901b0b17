import type { PlacementHost } from '../placement/placement-host.ts'

/** With how many open operations a host gets no further one from a batch. */
function mostOfBatch({ capacity }: PlacementHost): number {
  return Math.max(4, 2 * (capacity.builds + capacity.starts))
}

/** Whether batches leave a host out, as it has enough work. */
export function isBounded(host: PlacementHost): boolean {
  return host.state === 'up' && host.operations >= mostOfBatch(host)
}

/** Returns how many operations batches may give to hosts now. */
export function roomOnHosts(hosts: PlacementHost[]): number {
  const up = hosts.filter(({ state }) => state === 'up')
  // If none is up, one row is released, whose refusal is the reason why the batch waits.
  if (up.length === 0) return 1
  return up.reduce((room, host) => room + Math.max(0, mostOfBatch(host) - host.operations), 0)
}
