import type { DevHost } from './derive-host.ts'
import { layOver } from './lay-over.ts'

/** Jail slots of a dev host, and room for as many with twice the default limits. */
const jails = 1_000

/** The worker.yaml of a dev host, with what `--config` lays over it. */
export function workerFile(host: DevHost, root: string, over: Record<string, unknown>): Record<string, unknown> {
  return layOver(
    {
      host: host.id,
      runtime: 'linux',
      root,
      network: { mode: 'vnet', bridge: host.bridge, pools: host.pools },
      capacity: { jails, memory: `${jails * 128}M`, cpu: jails * 0.2, fills: 1, builds: 2, starts: 2 },
      defaults: { memory: '64M', cpu: 0.1, processes: 100 },
      worlds: [
        { name: 'busybox', method: 'busybox', prefill: true },
        { name: 'debian-12', method: 'debootstrap', suite: 'bookworm', variant: 'minbase', prefill: false },
      ],
    },
    over,
  )
}
