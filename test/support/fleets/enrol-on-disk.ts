import { join } from 'node:path'
import { certify } from '#shared/signing/certificate.ts'
import { openSecrets } from '../../../producer/secrets/secrets.ts'
import { newHostKey, writeIdentity } from '../../../worker/identity/identity.ts'

/** The directory of a producer's secrets in that of a test. */
export const secretsIn = (directory: string) => join(directory, 'secrets')

/** Lets a host join the fleet of the producer whose secrets are in `directory`. Returns the file that its worker.yaml names. */
export function enrolOnDisk(directory: string, host: string): string {
  const { signer, signers } = openSecrets(secretsIn(directory))
  const { privateKey, key } = newHostKey()
  const file = join(directory, `identity-${host}.json`)
  writeIdentity(file, { privateKey, certificate: certify(host, key, signer, new Date()), signers })
  return file
}
