import { ProvostError } from '#shared/errors.ts'
import type { Supports } from '#shared/host.ts'
import type { JailSpec } from '#shared/job.ts'

/** Whether a jail has a privilege that its host does not give, as after a change of the host's configuration. */
export function lacksPermission({ setuid }: Supports, { privileges }: Pick<JailSpec, 'privileges'>): boolean {
  return privileges?.setuid === true && setuid === 'never'
}

/** A jail is as it was asked for or is not started: never quietly with less. @throws ProvostError `privilege_not_allowed` */
export function requirePrivileges(supports: Supports, jail: Pick<JailSpec, 'name' | 'privileges'>): void {
  if (lacksPermission(supports, jail)) throw privilegeNotAllowed(jail)
}

export function privilegeNotAllowed({ name }: Pick<JailSpec, 'name'>): ProvostError {
  const message = `Jail ${name} is to have setuid programs that give their rights, which this host does not allow.`
  return new ProvostError('privilege_not_allowed', message)
}
