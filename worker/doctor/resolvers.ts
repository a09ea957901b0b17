import type { WorkerConfig } from '../config/config.ts'
import { fine, note, type Result } from '../host/checks/check-result.ts'
import { resolverOf } from '../host/names/resolver.ts'

/** Checks that jails have a server to ask for names. One on the host's loopback is not copied: in a jail that is the jail's own. */
export async function checkResolvers(config: Pick<WorkerConfig, 'network' | 'etcDir'>): Promise<Result> {
  const text = await resolverOf(config)
  const servers = [...(text ?? '').matchAll(/^nameserver (\S+)$/gm)].map(([, server]) => server)
  if (servers.length > 0) return fine(`Jails ask ${servers.join(', ')} for names.`)
  return note(
    `${config.etcDir}/resolv.conf names no server that a jail could reach, so jails resolve no names but their own.`,
    'Set network.resolvers to servers that answer jails.',
  )
}
