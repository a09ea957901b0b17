import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { errnoOf } from '#shared/errors.ts'
import { ConfigError } from '#shared/process/read-config.ts'
import { Certificate } from '#shared/signing/certificate.ts'
import {
  type PublicKeys,
  type Purpose,
  publicKeys,
  publicText,
  type Signed,
  signingKey,
  withSignature,
} from '#shared/signing/signatures.ts'

/** What a host got when it joined the fleet, and its own key. Never in Redis. */
export const IdentityFile = z.object({
  /** PKCS #8, PEM. */
  privateKey: z.string(),
  certificate: Certificate,
  /** The producer's public keys, pinned at the join. */
  signers: z.array(z.string()).min(1),
})
export type IdentityFile = z.infer<typeof IdentityFile>

export type Identity = {
  host: string
  signers: PublicKeys
  /** Returns a value with this host's signature and its certificate. */
  sign<T extends object>(purpose: Purpose, value: T): Signed<T>
}

/** Makes a key pair for a host that joins. `key`: the public one as text. */
export function newHostKey(): { privateKey: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), key: publicText(publicKey) }
}

/** Writes it readable for its owner alone, whole or not at all. */
export function writeIdentity(path: string, identity: IdentityFile): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, `${JSON.stringify(identity)}\n`, { mode: 0o600 })
  chmodSync(`${path}.new`, 0o600)
  renameSync(`${path}.new`, path)
}

/** Returns undefined for a host that has not joined. @throws ConfigError for a file that is broken, or of another host. */
export function readIdentity(path: string, host: string): Identity | undefined {
  try {
    const identity = IdentityFile.parse(JSON.parse(readFileSync(path, 'utf8')))
    if (identity.certificate.host !== host)
      throw new Error(`it is of host ${identity.certificate.host}; let ${host} join, or give it its name back`)
    return identityOf(identity)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw new ConfigError(`${path}: what this host is known by cannot be used: ${error instanceof Error ? error.message : error}`)
  }
}

export function identityOf({ privateKey, certificate, signers }: IdentityFile): Identity {
  const key = signingKey(createPrivateKey(privateKey))
  return {
    host: certificate.host,
    signers: publicKeys(signers),
    sign: (purpose, value) => withSignature(purpose, { ...value, certificate }, key),
  }
}
