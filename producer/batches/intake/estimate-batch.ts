import type { Timings } from '#shared/host.ts'
import type { PlacementHost } from '../../placement/placement-host.ts'
import { worldOn } from '../../placement/requirements.ts'
import type { Estimate } from '../../queues/estimate-end.ts'

/** What one host would get of a batch: how many jails of each world. */
export type HostShare = { host: PlacementHost; worlds: Map<string, number> }

/**
 * Estimates the seconds until all jails of a batch are running, if nothing else is requested: as long as the host with the most
 * work takes, and at least what `maxInFlight` allows. Based on how long hosts took before; undefined if one of them has no such
 * history. Pure.
 */
export function estimateBatch(shares: HostShare[], timings: Map<string, Timings>, maxInFlight: number): Estimate | undefined {
  const eta = { p50: 0, p90: 0 }
  for (const part of ['p50', 'p90'] as const) {
    let wholeMs = 0
    for (const { host, worlds } of shares) {
      let hostMs = 0
      let lastMs = 0
      for (const [world, count] of worlds) {
        const known = timings.get(host.id)?.[world]
        if (!known?.['provision']) return undefined
        const provisionMs = known['provision'][part]
        const buildMs = known['clone-root']?.[part] ?? provisionMs
        const startMs = Math.max(0, provisionMs - buildMs)
        // A batch leaves one build slot to requests for single jails.
        const buildSlots = Math.max(1, host.capacity.builds - 1)
        const isReady = worldOn(host, world)?.state === 'ready'
        hostMs += count * Math.max(buildMs / buildSlots, startMs / host.capacity.starts)
        hostMs += isReady ? 0 : (known['fill']?.[part] ?? 0)
        lastMs = Math.max(lastMs, provisionMs)
        wholeMs += count * provisionMs
      }
      eta[part] = Math.max(eta[part], hostMs + lastMs)
    }
    eta[part] = Math.max(eta[part], wholeMs / maxInFlight)
  }
  return shares.length === 0 ? undefined : { p50: Math.round(eta.p50) / 1000, p90: Math.round(eta.p90) / 1000 }
}
