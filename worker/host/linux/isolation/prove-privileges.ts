import type { Finding } from '../../jails/proofs.ts'
import { readStatus } from '../processes/processes.ts'
import type { Subject } from './subject.ts'

/** The bits of <linux/capability.h> for the capabilities that a jail has. */
const bits = {
  CAP_CHOWN: 0n,
  CAP_DAC_OVERRIDE: 1n,
  CAP_FOWNER: 3n,
  CAP_FSETID: 4n,
  CAP_KILL: 5n,
  CAP_SETGID: 6n,
  CAP_SETUID: 7n,
  CAP_SETPCAP: 8n,
  CAP_NET_BIND_SERVICE: 10n,
  CAP_SYS_CHROOT: 18n,
  CAP_AUDIT_WRITE: 29n,
  CAP_SETFCAP: 31n,
}
const allowed = Object.values(bits).reduce((mask, bit) => mask | (1n << bit), 0n)
const sets = ['CapBnd', 'CapPrm', 'CapEff', 'CapInh', 'CapAmb']
const seccompFilter = '2'

/** No process of the jail has or can get more than the few capabilities of a jail, and all run under the filter. */
export function provePrivileges({ processes }: Subject): Finding {
  const statuses = processes.map((pid) => ({ pid, status: readStatus(pid) }))
  const faults = statuses.flatMap(({ pid, status }) => (status ? faultsOf(status).map((fault) => `process ${pid} ${fault}`) : []))
  return { faults, fine: `root in it has ${Object.keys(bits).length} capabilities, none over the host, and gains none` }
}

function faultsOf(status: Map<string, string>): string[] {
  const tooMuch = sets.filter((set) => (BigInt(`0x${status.get(set) ?? 'ffffffffffffffff'}`) & ~allowed) !== 0n)
  return [
    ...tooMuch.map((set) => `has capabilities it should not: ${set} ${status.get(set)}`),
    ...(status.get('NoNewPrivs') === '1' ? [] : ['could gain privileges']),
    ...(status.get('Seccomp') === seccompFilter ? [] : ['is under no filter of system calls']),
  ]
}
