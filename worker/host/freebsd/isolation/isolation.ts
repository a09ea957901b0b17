import type { Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { type Finding, runProofs, some } from '../../jails/proofs.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { findJail } from '../jail/jail.ts'
import { allParameters } from '../jail/jls.ts'
import { limitRules, readRules, sameRules } from '../limits/limits.ts'
import { processesOf } from '../processes/processes.ts'
import { readMounts } from '../root/mounts.ts'
import { proveAddresses } from './prove-addresses.ts'
import { proveDevices } from './prove-devices.ts'
import { provePrivileges } from './prove-privileges.ts'
import { proveRoot } from './prove-root.ts'
import { differing, type Subject } from './subject.ts'

const proofs: Record<string, (subject: Subject) => Finding | Promise<Finding>> = {
  hostname: proveHostname,
  addresses: proveAddresses,
  processes: proveProcesses,
  root: proveRoot,
  devices: proveDevices,
  privileges: provePrivileges,
  limits: proveLimits,
}

/** Looks at the jail from the host, with programs of the host only; each proof reports what it saw. */
export async function proveIsolation(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<Isolation> {
  const running = await findJail(host, jail)
  const actual = running && (await allParameters(host, running.jid, signal))
  const mounts = await readMounts(host.run, signal)
  return runProofs(proofs, actual && { host, jail, jid: running.jid, actual, mounts, signal }, signal)
}

function proveHostname({ jail, actual }: Subject): Finding {
  return { faults: differing(actual, { 'host.hostname': jail.hostname, host: 'new' }), fine: `sees ${jail.hostname}, its own` }
}

/** A process in a jail sees and signals only those of its own jail; this proves that none of another is among them. */
async function proveProcesses({ host, jail, jid, actual, signal }: Subject): Promise<Finding> {
  const processes = await processesOf(host.run, jid, signal)
  const foreign = processes.filter((process) => process.jid !== jid)
  const faults = differing(actual, { jid: `${jid}`, name: jail.name, 'children.cur': '0' })
  if (foreign.length > 0) faults.push(`has processes of another jail or the host: ${some(foreign.map(({ pid }) => `${pid}`))}`)
  return { faults, fine: `${processes.length} processes, all in jail ${jid}, and no jail inside it` }
}

async function proveLimits({ host, jail, signal }: Subject): Promise<Finding> {
  const [actual, asked] = [await readRules(host, jail.name, signal), limitRules(host, jail)]
  const faults = sameRules(actual, asked) ? [] : [`is held to ${actual.join(', ') || 'nothing'} and not to ${asked.join(', ')}`]
  const { memory, cpu, processes } = jail.limits
  const counted = host.config.limits?.memory === 'reserved' ? 'resident and reserved' : 'resident'
  return { faults, fine: `rules hold it to ${memory} bytes ${counted}, ${cpu} cores, ${processes} processes` }
}
