import type { Host, HostReport } from '#shared/host.ts'
import type { Limits } from '#shared/jail.ts'

/** A host as placement sees it: what HTTP shows, and what the worker's report says beyond that. */
export type PlacementHost = Host & Pick<HostReport, 'defaults' | 'supports'>

/** The hosts of the fleet as they were read last. */
export type FleetHosts = {
  all(): PlacementHost[]
  get(id: string): PlacementHost | undefined
  /** Counts what was just promised by a host, until it is read anew. */
  notePromise(id: string, limits: Limits): void
}
