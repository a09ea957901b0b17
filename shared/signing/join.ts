import { z } from 'zod'
import { Certificate } from './certificate.ts'

/** What a host sends to join the fleet. */
export const Join = z.strictObject({
  token: z.string().min(1).max(256),
  /** Its public key: SPKI in base64url. */
  key: z.string().max(128),
})

/** What it gets: the certificate of its key, and the public keys of the producer, to keep. */
export const Joined = z.object({ certificate: Certificate, signers: z.array(z.string()) })
export type Joined = z.infer<typeof Joined>
