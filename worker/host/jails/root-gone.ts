import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'

/** Why a jail that was made before cannot be started: nothing may take the place of the client's files. */
export function rootGone({ name }: JailSpec): ProvostError {
  return new ProvostError('not_built', `The root of jail ${name}, with its client's files, is gone from its host.`, {
    hint: 'Bring it back from a copy and start the jail again, or destroy the jail and create it anew.',
  })
}
