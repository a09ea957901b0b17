import { z } from 'zod'
import { PlainName } from '../jail.ts'
import { canonical, isSigned, type PublicKeys, type Purpose, publicKeys, type SigningKey, withSignature } from './signatures.ts'

/** The producer's word that a key is of a host. The host shows it with all that it signs, so that no Redis has to remember it. */
export const Certificate = z.object({
  host: PlainName,
  /** Its public key, as `publicText` has it. */
  key: z.string(),
  issuedAt: z.iso.datetime(),
  signature: z.string(),
})
export type Certificate = z.infer<typeof Certificate>

export function certify(host: string, key: string, signer: SigningKey, issuedAt: Date): Certificate {
  return withSignature('host', { host, key, issuedAt: issuedAt.toISOString() }, signer)
}

/** Returns what reads signed values of hosts: the host whose key has signed a value, by a certificate of one of `signers`. */
export function makeHostOf(signers: () => PublicKeys) {
  const known = new Map<string, { host: string; keys: PublicKeys }>()

  function certified(value: unknown): { host: string; keys: PublicKeys } | undefined {
    const certificate = Certificate.safeParse(value).data
    if (!certificate) return undefined
    const text = canonical(certificate)
    const before = known.get(text)
    if (before) return before
    if (!isSigned('host', certificate, signers())) return undefined
    const now = { host: certificate.host, keys: publicKeys([certificate.key]) }
    known.set(text, now)
    return now
  }

  return (purpose: Purpose, value: unknown): string | undefined => {
    const found = certified((value as { certificate?: unknown } | null)?.certificate)
    return found && isSigned(purpose, value, found.keys) ? found.host : undefined
  }
}
