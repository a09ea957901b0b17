import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '#shared/errors.ts'
import { ConfigError } from '#shared/process/read-config.ts'
import { type PublicKeys, publicKeys, publicText, type SigningKey, signingKey } from '#shared/signing/signatures.ts'

/** What makes a producer the fleet's own. On its disk, never in Redis; the same for all producers of a fleet. */
export type Secrets = {
  signer: SigningKey
  /** All public keys that count, of this signer first, as `publicText` has them. */
  signers: string[]
  publicKeys: PublicKeys
  /** 32 bytes: of the MACs that no one but producers checks. */
  mac: Buffer
}

/** Makes new secrets. */
export function makeSecrets(): Secrets {
  return secretsOf(generateKeyPairSync('ed25519').privateKey, [], randomBytes(32))
}

/** Opens the directory of the secrets, and makes what is not there. @throws ConfigError when it cannot be. */
export function openSecrets(directory: string): Secrets {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    chmodSync(directory, 0o700)
    const pem = readOrMake(join(directory, 'signing.pem'), newPem)
    const mac = readOrMake(join(directory, 'mac.key'), () => randomBytes(32).toString('base64url'))
    const older = readOrMake(join(directory, 'older-signers'), () => '')
    return secretsOf(createPrivateKey(pem), older.split('\n').filter(Boolean), Buffer.from(mac.trim(), 'base64url'))
  } catch (error) {
    throw new ConfigError(
      `PROVOST_SECRETS: the secrets of the producer in ${directory} cannot be read or made: ${messageOf(error)}`,
    )
  }
}

export function newPem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function secretsOf(privateKey: KeyObject, older: string[], mac: Buffer): Secrets {
  const signers = [...new Set([publicText(privateKey), ...older])]
  return { signer: signingKey(privateKey), signers, publicKeys: publicKeys(signers), mac }
}

/** Two producers may start at the same time: the file of the first one counts. */
function readOrMake(path: string, make: () => string): string {
  try {
    writeFileSync(path, make(), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  return readFileSync(path, 'utf8')
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
