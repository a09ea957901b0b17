import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { JailSpec } from '#shared/job.ts'
import type { WorkerConfig } from '../../config/config.ts'
import { hashOf } from '../../host/derived-names.ts'
import { trialWorld } from './trial-world.ts'

const MiB = 1024 ** 2
/** Of TEST-NET-1, 2 and 3, which are for documentation (RFC 5737): no client has them, but a computer in a sandbox may. */
const networks = ['192.0.2', '198.51.100', '203.0.113']

/**
 * Returns the configuration of a host of its own for a trial: below the root, and with a bridge and addresses that no jail of a
 * client has, so that a worker may be at work beside it.
 */
export function trialConfig(config: WorkerConfig): WorkerConfig {
  const { root, network } = config
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
  const free = networks.find((three) => !own.some((address) => address.startsWith(`${three}.`))) ?? '192.0.2'
  const pool = { name: 'trial', cidr: `${free}.0/29`, exclude: [] }
  return {
    ...config,
    host: 'trial',
    root: root.startsWith('/') ? join(root, 'trial') : `${root}/trial`,
    network: { ...network, ...(network.mode === 'vnet' ? { bridge: 'provosttrial' } : {}), pools: [pool] },
    worlds: [],
  }
}

/** The jail of a trial. `command`: what it runs. */
export function trialJail({ root, capacity, network }: WorkerConfig, command: string[]): JailSpec {
  return {
    // Names of jails on FreeBSD are the computer's, whatever the host: this one is no client's.
    name: `trial_${hashOf(root).slice(0, 12)}`,
    provision: '00000000-0000-7000-8000-000000000000',
    client: 'trial',
    hostname: 'trial.example',
    world: trialWorld.name,
    worldDigest: trialWorld.digest,
    addresses: [network.pools[0]?.cidr.replace('.0/', '.2/') ?? ''],
    limits: { memory: 64 * MiB, cpu: 0.25, processes: 20, ...(capacity.disk === undefined ? {} : { disk: 32 * MiB }) },
    command,
  }
}
