import type { Host } from '#shared/host.ts'

/** By world and by platform, its definitions there: by digest, the first host that offers it. */
export type WorldConflicts = Map<string, Map<string, Map<string, string>>>

/** Returns the worlds that live hosts of one platform define differently: the same name would make different jails. */
export function worldConflicts(hosts: Pick<Host, 'id' | 'state' | 'platform' | 'worlds'>[]): WorldConflicts {
  const all: WorldConflicts = new Map()
  for (const { id, state, platform, worlds } of hosts) {
    if (state !== 'up' && state !== 'draining') continue
    for (const { name, digest } of worlds) {
      const platforms = getOrAdd(all, name)
      const definitions = getOrAdd(platforms, platform)
      if (!definitions.has(digest)) definitions.set(digest, id)
    }
  }
  for (const [name, platforms] of all) {
    for (const [platform, definitions] of platforms) if (definitions.size < 2) platforms.delete(platform)
    if (platforms.size === 0) all.delete(name)
  }
  return all
}

function getOrAdd<V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const inner = map.get(key) ?? new Map<string, V>()
  map.set(key, inner)
  return inner
}
