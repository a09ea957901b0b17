import type { JailSpec } from '#shared/job.ts'

/** By the file below /etc, what it is to say, made from what the jail's world has there; undefined where it stays as it is. */
export type Names = Record<string, (ofWorld: string | undefined) => string | undefined>

/** Returns what a jail's files say of names: its own, localhost's, and whom to ask for all others. */
export function namesOf(jail: Pick<JailSpec, 'hostname' | 'addresses'>, resolver: string | undefined): Names {
  return {
    hosts: (ofWorld) => hostsText(ofWorld, jail),
    // Only some systems have one (hostname(5)).
    hostname: (ofWorld) => (ofWorld === undefined ? undefined : `${jail.hostname}\n`),
    'resolv.conf': () => resolver,
  }
}

/** Returns a hosts(5) with localhost and the jail itself, before what its world has: the first line with a name counts. */
export function hostsText(
  ofWorld: string | undefined,
  { hostname, addresses }: Pick<JailSpec, 'hostname' | 'addresses'>,
): string {
  const short = hostname.split('.')[0] ?? hostname
  // The whole name first: it is what `hostname -f` prints.
  const names = short === hostname ? hostname : `${hostname} ${short}`
  const own = addresses.map((address) => `${address.split('/')[0]} ${names}`)
  const hasLocalhost = /^\s*[0-9a-f.:]+\s[^#\n]*\blocalhost\b/im.test(ofWorld ?? '')
  const lines = [...(hasLocalhost ? [] : ['127.0.0.1 localhost', '::1 localhost']), ...own]
  return `${lines.join('\n')}\n${ofWorld ?? ''}`
}
