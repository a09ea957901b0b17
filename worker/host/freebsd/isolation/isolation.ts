import type { Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
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
import { differing, type Finding, type Subject } from './subject.ts'

const checks: Record<string, (subject: Subject) => Finding | Promise<Finding>> = {
  hostname: proveHostname,
  addresses: proveAddresses,
  processes: proveProcesses,
  root: proveRoot,
  devices: proveDevices,
  privileges: provePrivileges,
  limits: proveLimits,
}

/** Looks at the jail from the host, with programs of the host only; each check says what it saw. */
export async function proveIsolation(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<Isolation> {
  const found = await findJail(host, jail)
  const held = found && (await allParameters(host, found.jid, signal))
  const mounts = await readMounts(host.run, signal)
  const results = Object.entries(checks).map(async ([name, check]) => {
    if (!held) return { name, ok: false, detail: 'the jail is not running' }
    try {
      const { faults, fine } = await check({ host, jail, jid: found.jid, held, mounts, signal })
      return { name, ok: faults.length === 0, detail: faults.length === 0 ? fine : faults.join('; ') }
    } catch (error) {
      signal.throwIfAborted()
      return { name, ok: false, detail: `could not be looked at: ${error instanceof Error ? error.message : error}` }
    }
  })
  return { checkedAt: new Date().toISOString(), checks: await Promise.all(results) }
}

function proveHostname({ jail, held }: Subject): Finding {
  return { faults: differing(held, { 'host.hostname': jail.hostname, host: 'new' }), fine: `sees ${jail.hostname}, its own` }
}

/** A process in a jail sees and signals those of its own jail only; here it is seen that none of another is among them. */
async function proveProcesses({ host, jail, jid, held, signal }: Subject): Promise<Finding> {
  const processes = await processesOf(host.run, jid, signal)
  const foreign = processes.filter((process) => process.jid !== jid)
  const faults = differing(held, { jid: `${jid}`, name: jail.name, 'children.cur': '0' })
  if (foreign.length > 0) faults.push(`has processes of another jail or the host: ${foreign.map(({ pid }) => pid).join(', ')}`)
  return { faults, fine: `${processes.length} processes, all in jail ${jid}, and no jail inside it` }
}

async function proveLimits({ host, jail, signal }: Subject): Promise<Finding> {
  const [held, asked] = [await readRules(host, jail.name, signal), limitRules(jail)]
  const faults = sameRules(held, asked) ? [] : [`is held to ${held.join(', ') || 'nothing'} and not to ${asked.join(', ')}`]
  const { memory, cpu, processes } = jail.limits
  return { faults, fine: `at most ${memory} bytes of memory, ${cpu} cores, ${processes} processes` }
}
