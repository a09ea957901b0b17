import { z } from 'zod'

const server = String.raw`(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?`
const forms = [
  // The last @ ends the password, as in any URL.
  String.raw`(?:rediss?:\/\/)(?:([^\s/?#]*)@)?${server}(?:\/\d*)?(?:\?[^\s#@]*)?`,
  String.raw`redis\+sentinel:\/\/(?:([^\s/?#:@]*:[^\s/?#@]*)@)?${server}(?:,${server})*\/[A-Za-z0-9._-]+(?:\/\d+)?`,
  // Without a scheme, and a socket, as ioredis takes them.
  server,
  String.raw`\/\S+`,
].map((form) => new RegExp(`^${form}$`))

/** The address of Redis. What is said of a wrong one has nothing of it: any part may be of a password that is not escaped. */
export const RedisUrl = z
  .string()
  .min(1)
  .refine(
    isRedisUrl,
    'must be redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// or redis+sentinel://HOST:PORT[,HOST:PORT…]/MASTER; in a password ' +
      'write % as %25, / as %2F, # as %23, ? as %3F, @ as %40',
  )

function isRedisUrl(text: string): boolean {
  const match = forms.map((form) => form.exec(text)).find((found) => found !== null)
  if (!match) return false
  try {
    decodeURIComponent(match[1] ?? '')
    return true
  } catch {
    return false
  }
}
