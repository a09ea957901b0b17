import { hardening } from '../jail/jail-parameters.ts'
import { differing, type Finding, type Subject } from './subject.ts'

/** What jail(8) allows unless told otherwise, but for set_hostname, which we take away. */
const usual = ['allow.reserved_ports', 'allow.unprivileged_proc_debug', 'allow.suser']

/** Nothing is allowed beyond what jail(8) allows by itself, also of what a later release may add. */
export function provePrivileges({ held }: Subject): Finding {
  const faults = differing(held, hardening)
  const allowed = Object.keys(held).filter((key) => key.startsWith('allow.') && held[key] !== 'false' && !usual.includes(key))
  if (allowed.length > 0) faults.push(`is allowed more than a jail should be: ${allowed.join(', ')}`)
  if (!Object.keys(held).some((key) => key.startsWith('allow.'))) faults.push('is allowed what is not known')
  const shared = ['sysvmsg', 'sysvsem', 'sysvshm'].filter((key) => held[key] === 'inherit')
  if (shared.length > 0) faults.push(`shares the host's ${shared.join(', ')}`)
  return { faults, fine: `securelevel ${hardening.securelevel}, nothing allowed beyond the default` }
}
