import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

/** Ed25519 (RFC 8032). What is signed for one purpose is never valid for another one. */
export type Purpose = 'job' | 'notice' | 'verdict' | 'host' | 'signer' | 'report' | 'beat' | 'host-report' | 'note' | 'upload'

/** `id`: the first 16 hexadecimal digits of the sha256 of the public key. */
export type SigningKey = { id: string; privateKey: KeyObject }
/** By id. */
export type PublicKeys = ReadonlyMap<string, KeyObject>
/** `KEY.SIGNATURE`, both of base64url's characters. */
export type Signed<T> = T & { signature: string }

/** Returns a value with the signature over all of it, in whatever order its fields stand. */
export function withSignature<T extends object>(purpose: Purpose, value: T, { id, privateKey }: SigningKey): Signed<T> {
  return { ...value, signature: `${id}.${sign(null, textOf(purpose, value), privateKey).toString('base64url')}` }
}

/** Whether a value bears the signature of one of the keys over all of it. */
export function isSigned(purpose: Purpose, value: unknown, keys: PublicKeys): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { signature, ...rest } = value as { signature?: unknown }
  if (typeof signature !== 'string') return false
  const [id = '', code = ''] = signature.split('.')
  const key = keys.get(id)
  return key !== undefined && verify(null, textOf(purpose, rest), key, Buffer.from(code, 'base64url'))
}

/** Returns a public key as text: its SPKI (RFC 8410) in base64url. */
export const publicText = (key: KeyObject): string => publicOf(key).export({ type: 'spki', format: 'der' }).toString('base64url')

export const keyId = (key: KeyObject): string => createHash('sha256').update(publicText(key)).digest('hex').slice(0, 16)

export const signingKey = (privateKey: KeyObject): SigningKey => ({ id: keyId(privateKey), privateKey })

/** Reads public keys that are texts. @throws Error for one that is none. */
export function publicKeys(texts: Iterable<string>): PublicKeys {
  const keys = Array.from(texts, (text) => createPublicKey({ key: Buffer.from(text, 'base64url'), type: 'spki', format: 'der' }))
  return new Map(keys.map((key) => [keyId(key), key]))
}

const publicOf = (key: KeyObject) => (key.type === 'public' ? key : createPublicKey(key))

function textOf(purpose: Purpose, value: object): Buffer {
  return Buffer.from(`provost ${purpose}\n${canonical(value)}`)
}

/** Returns a value as JSON, with the names of each object in order and without those that are undefined. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`
}
