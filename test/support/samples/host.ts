import type { Host } from '#shared/host.ts'

/** A host that is up and has one ready world, with what a test says of it. */
export function makeHost(facts: Partial<Host> = {}): Host {
  return {
    id: 'host1',
    state: 'up',
    runtime: 'linux',
    platform: 'linux/amd64',
    worlds: [{ name: 'busybox', digest: 'a'.repeat(64), method: 'tree', state: 'ready', prefill: true }],
    pools: [{ name: 'main', cidr: '10.0.0.0/22', gateway: '10.0.0.1', exclude: ['10.0.0.2-10.0.0.9'] }],
    capacity: { jails: 200, memory: 64 * 1024 ** 3, cpu: 16, fills: 1, builds: 2, starts: 2 },
    promised: { jails: 3, memory: 192 * 1024 ** 2, cpu: 0.3, disk: 0 },
    load: { fills: 0, builds: 1, starts: 2, jails: 3, loadAverage: 0.5 },
    operations: 4,
    drift: 0,
    leftovers: 0,
    labels: {},
    lastSeen: '2026-01-01T00:00:00.000Z',
    versions: { provost: '0.1.0', node: '24.0.0', os: 'Linux 6.1', plans: [1] },
    ...facts,
  }
}
