import type { WorldState } from '#shared/host.ts'
import type { PlacementHost } from '../../../producer/placement/placement-host.ts'

/** Returns a host that is up, empty, and offers the world `tiny`. */
export function placementHost(id: string, change: Partial<PlacementHost> = {}): PlacementHost {
  return {
    id,
    state: 'up',
    runtime: 'linux',
    platform: 'linux/x64',
    worlds: [world('tiny')],
    pools: [{ name: 'main', cidr: '10.0.0.0/24', exclude: [] }],
    capacity: { jails: 10, memory: 1000, cpu: 10, fills: 1, builds: 2, starts: 2 },
    promised: { jails: 0, memory: 0, cpu: 0, disk: 0 },
    load: { fills: 0, builds: 0, starts: 0, jails: 0, loadAverage: 0 },
    operations: 0,
    drift: 0,
    leftovers: 0,
    labels: {},
    lastSeen: '2026-01-01T00:00:00Z',
    versions: { provost: '1', node: '24', os: 'x', plans: [1] },
    defaults: { memory: 10, cpu: 0.1, processes: 10 },
    supports: { diskLimit: false, setuid: 'never' },
    ...change,
  }
}

export function world(name: string, change: Partial<WorldState> = {}): WorldState {
  return { name, digest: 'd', method: 'tree', state: 'ready', prefill: true, ...change }
}
