import type { WorkerConfig } from '../config/config.ts'
import { note, type Result } from '../host/checks/check-result.ts'

/** The checks whose answer is in a configuration alone. */
const ofConfiguration = ['network mode', 'bridge', 'interface', 'pools', 'worlds', 'disk limit', 'zfs']

/** Returns a configuration with which a computer can be checked that has none yet: nothing of it is an answer of the operators. */
export function machineConfig(
  settings: Pick<WorkerConfig, 'commandPath' | 'etcDir' | 'redisUrl' | 'redisPrefix' | 'logLevel' | 'timing'>,
): WorkerConfig {
  return {
    ...settings,
    host: 'none-yet',
    runtime: process.platform === 'freebsd' ? 'freebsd' : 'linux',
    root: '/var/lib/provost',
    network: { mode: 'vnet', bridge: 'provost0', pools: [] },
    capacity: { jails: 1, memory: 1, cpu: 1, fills: 1, builds: 1, starts: 1 },
    defaults: { memory: 1, cpu: 1, processes: 1 },
    worlds: [],
    labels: {},
  }
}

/** Whether a check is about the computer, and not about what its configuration says. */
export const isOfMachine = ({ name }: { name: string }): boolean => !ofConfiguration.includes(name)

export function noConfiguration(path: string, { root }: WorkerConfig): Result {
  return note(
    `There is no ${path}: this checks the computer as such, with room for jails in ${root}.`,
    'Write one, see provost.yaml(5) or docs/operate.md, and run this again: it then checks root, network and worlds, too.',
  )
}
