import { statSync } from 'node:fs'
import type { Finding } from '../../jails/proofs.ts'
import { readStatus } from '../processes/processes.ts'
import { readMounts } from '../root/mounts.ts'
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

/**
 * No process of the jail has or can get more than the few capabilities of a jail, and all run under the filter. Setuid programs
 * give their rights where that was asked for, and nowhere else.
 */
export function provePrivileges(subject: Subject): Finding {
  const { jail, processes } = subject
  const isAsked = jail.privileges?.setuid === true
  const statuses = processes.map((pid) => ({ pid, status: readStatus(pid) }))
  const ofProcesses = statuses.flatMap(({ pid, status }) =>
    status ? faultsOf(status, isAsked).map((fault) => `process ${pid} ${fault}`) : [],
  )
  const gains = isAsked ? 'setuid programs give these and no more' : 'and gains none'
  return {
    faults: [...ofProcesses, ...(isAsked ? setuidFaults(subject) : nosuidFaults(subject))],
    fine: `root in it has ${Object.keys(bits).length} capabilities, none over the host, ${gains}`,
  }
}

const hasNosuidRoot = (pid: number | 'self', point: string) =>
  readMounts(pid)
    .findLast((mount) => mount.point === point)
    ?.options.includes('nosuid') === true

function nosuidFaults({ first }: Subject): string[] {
  return hasNosuidRoot(first, '/') ? [] : ['could gain privileges by a setuid program: its / is mounted without nosuid']
}

/** A program in it may give up that it gains anything; its first process, which we start, does not. */
function setuidFaults({ host, jail, first }: Subject): string[] {
  const { root, directory } = host.layout.jail(jail.name)
  const withheld = [
    ...(hasNosuidRoot(first, '/') ? ['its / is mounted nosuid'] : []),
    ...(readStatus(first)?.get('NoNewPrivs') === '0' ? [] : ['its processes have no_new_privs']),
  ]
  // A setuid file that root in it makes is one of root of the host, too: no user of the host may run it.
  const isOpen = ![host.layout.jails, directory].some(isClosed)
  return [
    ...withheld.map((why) => `setuid programs give no rights in it, as was asked for: ${why}`),
    ...(hasNosuidRoot('self', root) ? [] : [`the host sees ${root} without nosuid`]),
    ...(isOpen ? [`users of the host could run its setuid files: ${directory} is open to them`] : []),
  ]
}

function isClosed(directory: string): boolean {
  const { uid, mode } = statSync(directory)
  return uid === 0 && (mode & 0o077) === 0
}

function faultsOf(status: Map<string, string>, mayGain: boolean): string[] {
  const tooMuch = sets.filter((set) => (BigInt(`0x${status.get(set) ?? 'ffffffffffffffff'}`) & ~allowed) !== 0n)
  return [
    ...tooMuch.map((set) => `has capabilities it should not: ${set} ${status.get(set)}`),
    ...(mayGain || status.get('NoNewPrivs') === '1' ? [] : ['could gain privileges']),
    ...(status.get('Seccomp') === seccompFilter ? [] : ['is under no filter of system calls']),
  ]
}
