import type { Finding } from '../../jails/proofs.ts'
import { hardening } from '../jail/jail-parameters.ts'
import { differing, type Subject } from './subject.ts'

/** What jail(8) allows by default, except set_hostname, which we deny. */
const usual = ['allow.reserved_ports', 'allow.unprivileged_proc_debug', 'allow.suser']

/** It is allowed nothing beyond the defaults of jail(8), also nothing that a later release may add. */
export function provePrivileges({ actual }: Subject): Finding {
  const faults = differing(actual, hardening)
  const allowed = Object.keys(actual).filter((key) => key.startsWith('allow.') && actual[key] !== 'false' && !usual.includes(key))
  if (allowed.length > 0) faults.push(`is allowed more than a jail should be: ${allowed.join(', ')}`)
  if (!Object.keys(actual).some((key) => key.startsWith('allow.'))) faults.push('is allowed what is not known')
  const shared = ['sysvmsg', 'sysvsem', 'sysvshm'].filter((key) => actual[key] === 'inherit')
  if (shared.length > 0) faults.push(`shares the host's ${shared.join(', ')}`)
  return { faults, fine: `securelevel ${hardening.securelevel}, nothing allowed beyond the default` }
}
