import type { Host, HostReport } from '#shared/host.ts'
import type { Limits } from '#shared/jail.ts'

/** A host as placement sees it: what HTTP shows, and more of its report. */
export type PlacementHost = Host & Pick<HostReport, 'defaults' | 'supports' | 'unfit'>

/** The hosts of the fleet as they were last read. */
export type FleetHosts = {
  all(): PlacementHost[]
  get(id: string): PlacementHost | undefined
  /** Counts a new promise of a host until it is read again. */
  notePromise(id: string, limits: Limits): void
}

/** Adds a jail to the promises of a host, or subtracts it, and its operation. */
export function countPromise(host: PlacementHost, { memory, cpu, disk = 0 }: Limits, sign: 1 | -1): void {
  host.operations += sign
  host.promised.jails += sign
  host.promised.memory += sign * memory
  host.promised.cpu += sign * cpu
  host.promised.disk += sign * disk
}
