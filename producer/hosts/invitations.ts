import { createHmac, randomBytes } from 'node:crypto'
import { ProvostError } from '#shared/errors.ts'
import { fleetTime, fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { certify } from '#shared/signing/certificate.ts'
import type { Joined } from '#shared/signing/join.ts'
import { publicKeys } from '#shared/signing/signatures.ts'
import type { Store } from '../records/store.ts'

const lastsSeconds = 3_600

/**
 * Returns a token with which a host joins the fleet, once, within an hour. It names the host, and Redis has only its MAC: who reads
 * Redis cannot join, and who writes it cannot invite.
 */
export async function inviteHost(store: Store, host: string): Promise<{ token: string; expiresAt: string }> {
  const token = `${host}~${randomBytes(24).toString('base64url')}`
  await store.redis.set(invitationOf(store, token), '1', 'EX', lastsSeconds)
  return { token, expiresAt: new Date(fleetTimeMs() + lastsSeconds * 1_000).toISOString() }
}

/** Takes a host into the fleet. `key`: its public key. @throws ProvostError `unauthorized`, `invalid_request`. */
export async function joinHost(store: Store, token: string, key: string): Promise<Joined> {
  const { redis, secrets } = store
  try {
    publicKeys([key])
  } catch {
    throw new ProvostError('invalid_request', 'The key is no Ed25519 public key.')
  }
  if ((await redis.getdel(invitationOf(store, token))) === null)
    throw new ProvostError('unauthorized', 'The join token is not one of this fleet, has expired, or was used.', {
      hint: 'Ask ops for a new one: provost hosts invite HOST. A token that somebody else has used is a reason to look who.',
    })
  return { certificate: certify(token.slice(0, token.indexOf('~')), key, secrets.signer, fleetTime()), signers: secrets.signers }
}

const invitationOf = ({ keys, secrets }: Store, token: string) =>
  keys.invitation(createHmac('sha256', secrets.mac).update(`invitation ${token}`).digest('base64url'))
