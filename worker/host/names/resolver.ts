import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isReachable } from '#shared/network/resolver-address.ts'
import type { WorkerConfig } from '../../config/config.ts'

/** Behind the stub of systemd-resolved(8), which is on 127.0.0.53, there is a file with the servers that it asks. */
const behindStub = '/run/systemd/resolve/resolv.conf'

/**
 * Returns the resolv.conf(5) of this host's jails: of `network.resolvers`, or else the host's own without the servers that only the
 * host can reach. Undefined when none is left.
 */
export async function resolverOf({ network, etcDir }: Pick<WorkerConfig, 'network' | 'etcDir'>): Promise<string | undefined> {
  if (network.resolvers) return network.resolvers.map((address) => `nameserver ${address}\n`).join('')
  for (const file of [join(etcDir, 'resolv.conf'), behindStub]) {
    const usable = usableResolver(await readFile(file, 'utf8').catch(() => ''))
    if (usable) return usable
  }
  return undefined
}

/** Returns what of a resolv.conf(5) holds in a jail, too; undefined when it has no server for one. */
export function usableResolver(text: string): string | undefined {
  const lines = text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([word = '', value = '']) => (word === 'nameserver' ? isReachable(value) : /^(search|domain|options)$/.test(word)))
  if (!lines.some(([word]) => word === 'nameserver')) return undefined
  return lines.map((words) => `${words.join(' ')}\n`).join('')
}
