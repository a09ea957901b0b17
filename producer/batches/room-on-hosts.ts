import type { PlacementHost } from '../placement/placement-host.ts'

/** How many operations a host may have open for a batch to give it another one. */
function mostOfBatch({ capacity }: PlacementHost): number {
  return Math.max(4, 2 * (capacity.builds + capacity.starts))
}

/** Whether a host is left out by batches, as it has enough to do. */
export function isBounded(host: PlacementHost): boolean {
  return host.state === 'up' && host.operations >= mostOfBatch(host)
}

/** How many operations batches may give to hosts now. */
export function roomOnHosts(hosts: PlacementHost[]): number {
  const up = hosts.filter(({ state }) => state === 'up')
  // Where none is up a row is to find out, and say, why it waits.
  if (up.length === 0) return 1
  return up.reduce((room, host) => room + Math.max(0, mostOfBatch(host) - host.operations), 0)
}
