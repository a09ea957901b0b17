import type { Finding } from '../../jails/proofs.ts'
import { hardening } from '../jail/jail-parameters.ts'
import { isBelow, type Mount } from '../root/mounts.ts'
import { differing, type Subject } from './subject.ts'

/** What jail(8) allows by default, except set_hostname, which we deny. */
const usual = ['allow.reserved_ports', 'allow.unprivileged_proc_debug', 'allow.suser']

/**
 * It is allowed nothing beyond the defaults of jail(8), also nothing that a later release may add. Setuid programs give their rights
 * in every jail, asked for or not, unless what its root is on is mounted nosuid (ZFS: setuid=off, zfsprops(7)).
 */
export function provePrivileges({ host, jail, actual, mounts }: Subject): Finding {
  const faults = differing(actual, hardening)
  const allowed = Object.keys(actual).filter((key) => key.startsWith('allow.') && actual[key] !== 'false' && !usual.includes(key))
  if (allowed.length > 0) faults.push(`is allowed more than a jail should be: ${allowed.join(', ')}`)
  if (!Object.keys(actual).some((key) => key.startsWith('allow.'))) faults.push('is allowed what is not known')
  const shared = ['sysvmsg', 'sysvsem', 'sysvshm'].filter((key) => actual[key] === 'inherit')
  if (shared.length > 0) faults.push(`shares the host's ${shared.join(', ')}`)
  const holder = mountOf(host.layout.jail(jail.name).root, mounts)
  const isNosuid = holder?.options.includes('nosuid') === true
  if (isNosuid && jail.privileges?.setuid)
    faults.push(`setuid programs give no rights in it, as was asked for: ${holder.point} is mounted nosuid`)
  const gains = isNosuid ? 'setuid programs give no rights' : 'setuid programs give their rights'
  return { faults, fine: `securelevel ${hardening.securelevel}, nothing allowed beyond the default; ${gains}` }
}

/** Returns the mount that a directory is on: the last one made of those nearest above it. */
function mountOf(directory: string, mounts: Mount[]): Mount | undefined {
  const above = mounts.filter(({ point }) => point === directory || point === '/' || isBelow(directory, point))
  const deepest = Math.max(...above.map(({ point }) => point.length))
  return above.findLast(({ point }) => point.length === deepest)
}
