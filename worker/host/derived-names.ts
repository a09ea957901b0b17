import { createHash } from 'node:crypto'
import type { WorldId } from '#shared/job.ts'

/** Returns the sha256 of a text, 64 hex digits. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Returns a locally administered unicast address, the same at every start: neighbours keep what they learnt over a restart. */
export function macOf(text: string): string {
  return `02:${hashOf(text).slice(10, 20).match(/../g)?.join(':')}`
}

/** Returns the name of a world's directory or dataset. */
export function worldDirectory({ name, digest }: WorldId): string {
  return `${name}-${digest.slice(0, 16)}`
}
