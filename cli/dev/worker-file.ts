import type { DevHost } from './derive-host.ts'
import { mergeConfig } from './merge-config.ts'

/** The capacity of a dev host in jails; its memory and cpu suffice for as many with twice the default limits. */
const jails = 1_000

/** Returns the worker.yaml of a dev host with the overrides of `--config`. */
export function workerFile(
  host: DevHost,
  { root, identity, joinTokenFile }: { root: string; identity: string; joinTokenFile: string },
  overrides: Record<string, unknown>,
): Record<string, unknown> {
  return mergeConfig(
    {
      host: host.id,
      runtime: 'linux',
      root,
      identity,
      joinTokenFile,
      network: { mode: 'vnet', bridge: host.bridge, pools: host.pools },
      capacity: { jails, memory: `${jails * 128}M`, cpu: jails * 0.2, fills: 1, builds: 2, starts: 2 },
      defaults: { memory: '64M', cpu: 0.1, processes: 100 },
      worlds: [
        { name: 'busybox', method: 'busybox', prefill: true },
        { name: 'debian-12', method: 'debootstrap', suite: 'bookworm', variant: 'minbase', prefill: false },
      ],
    },
    overrides,
  )
}
