import { statSync } from 'node:fs'
import type { Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { bareAddress } from '#shared/network/addresses.ts'
import { sameAddresses } from '../../addresses.ts'
import { type Finding, runProofs, some } from '../../jails/proofs.ts'
import { findInit } from '../jail/jail.ts'
import { processesIn } from '../limits/cgroups.ts'
import { inKernelSteps, readLimits } from '../limits/limits.ts'
import type { LinuxHost } from '../linux-host.ts'
import { isOnBridge } from '../network/bridge.ts'
import { readNetwork } from '../network/read-network.ts'
import { isAlive, namespaceOf, readStatus } from '../processes/processes.ts'
import { proveDevices } from './prove-devices.ts'
import { proveNetwork } from './prove-network.ts'
import { provePrivileges } from './prove-privileges.ts'
import { proveProcesses } from './prove-processes.ts'
import { proveRoot } from './prove-root.ts'
import { type Subject, sharedWithHost } from './subject.ts'

const loopback = ['127.0.0.1', '::1']

const proofs: Record<string, (subject: Subject) => Finding | Promise<Finding>> = {
  hostname: proveHostname,
  addresses: proveAddresses,
  network: proveNetwork,
  processes: proveProcesses,
  root: proveRoot,
  devices: proveDevices,
  privileges: provePrivileges,
  limits: proveLimits,
}

/** Looks at the jail from the host, through /proc and with programs of the host only; each proof reports what it saw. */
export async function proveIsolation(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<Isolation> {
  const first = findInit(host, jail.name)
  const processes = processesIn(host.cgroups, host.layout.jail(jail.name).cgroup).filter((pid) => isAlive(readStatus(pid)))
  return runProofs(proofs, first === undefined ? undefined : { host, jail, first, processes, signal }, signal)
}

async function proveHostname({ host, jail, first, signal }: Subject): Promise<Finding> {
  const { stdout } = await host.run('nsenter', ['--target', `${first}`, '--uts', 'uname', '--nodename'], { signal })
  const seen = stdout.trim()
  const faults = sharedWithHost(first, 'uts')
  if (seen !== jail.hostname) faults.push(`sees the host name ${seen} and not ${jail.hostname}`)
  return { faults, fine: `sees ${seen}, in a namespace of its own` }
}

function proveAddresses({ host, jail, first }: Subject): Finding {
  const { veth, network } = host.layout.jail(jail.name)
  const faults = sharedWithHost(first, 'net')
  if (namespaceOf(first, 'net') !== `net:[${statSync(network).ino}]`) faults.push('is not in the network namespace made for it')
  const { interfaces, addresses } = readNetwork(first)
  const foreign = interfaces.filter((name) => name !== 'lo' && name !== 'eth0')
  if (foreign.length > 0) faults.push(`has the interfaces ${some(foreign)}, which are not its own`)
  const seen = addresses.filter((address) => !loopback.includes(bareAddress(address)))
  if (!sameAddresses(seen, jail.addresses)) faults.push(`has ${some(seen) || 'no address'} and not ${jail.addresses.join(', ')}`)
  if (!isOnBridge(host, veth)) faults.push(`its link ${veth} is not on the bridge`)
  return { faults, fine: `has ${some(seen)} and no interface of the host` }
}

function proveLimits({ host, jail }: Subject): Finding {
  const enforced = readLimits(host.cgroups, host.layout.jail(jail.name).cgroup)
  const asked = inKernelSteps(jail.limits)
  const faults = (['memory', 'cpu', 'processes'] as const)
    .filter((limit) => enforced[limit] !== asked[limit])
    .map((limit) => `${limit} is ${enforced[limit] ?? 'without limit'} and not ${asked[limit]}`)
  return { faults, fine: `at most ${enforced.memory} bytes of memory, ${enforced.cpu} cores, ${enforced.processes} processes` }
}
