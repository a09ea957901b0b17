import { ConfigError } from '#shared/process/read-config.ts'
import { Joined } from '#shared/signing/join.ts'
import { newHostKey, writeIdentity } from './identity.ts'

const withinMs = 10_000

/**
 * Lets a host join its fleet: makes its key, has it certified, and pins the public keys of the producer. `file`: where it keeps them.
 * @throws ConfigError when the producer refuses it, or certifies another host.
 */
export async function join(url: string, token: string, host: string, file: string): Promise<void> {
  const { privateKey, key } = newHostKey()
  const answer = await ask(url, { token: token.trim(), key })
  const { certificate, signers } = Joined.parse(answer)
  if (certificate.host !== host)
    throw new ConfigError(`The token is for host ${certificate.host}, and this is ${host}: see host: in its worker.yaml.`)
  writeIdentity(file, { privateKey, certificate, signers })
}

async function ask(url: string, body: object): Promise<unknown> {
  try {
    const response = await fetch(`${url.replace(/\/$/, '')}/v1/join`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(withinMs),
    })
    const answer = (await response.json()) as { detail?: string; hint?: string }
    if (!response.ok) throw new Error(`${answer.detail ?? response.statusText} ${answer.hint ?? ''}`)
    return answer
  } catch (error) {
    throw new ConfigError(`This host cannot join by ${url}: ${error instanceof Error ? error.message : error}`)
  }
}
