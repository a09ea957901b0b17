import type { FleetHosts } from '../../placement/placement-host.ts'
import { newestOf } from '../../records/lists.ts'
import { operationList } from '../../records/operations/operation-lists.ts'
import type { Store } from '../../records/store.ts'

type Deps = Pick<Store, 'redis' | 'keys'> & { hosts: Pick<FleetHosts, 'all'> }

const recentFailures = 200

/** Returns the ids of at most `most` hosts: those with the most recent failures, then those with the most open operations. */
export async function hostsToShow(deps: Deps, most: number): Promise<string[]> {
  const all = deps.hosts.all()
  if (all.length <= most) return all.map(({ id }) => id)
  const failures = await countFailures(deps)
  return all
    .map(({ id, operations }) => ({ id, operations, failures: failures.get(id) ?? 0 }))
    .sort((a, b) => b.failures - a.failures || b.operations - a.operations)
    .slice(0, most)
    .map(({ id }) => id)
}

async function countFailures({ redis, keys }: Deps): Promise<Map<string, number>> {
  const failed = await newestOf(redis, operationList({ status: 'failed' }, keys), { count: recentFailures })
  const hostsOfFailed = await Promise.all(failed.map((id) => redis.hget(keys.operation(id), 'host')))
  const failures = new Map<string, number>()
  for (const host of hostsOfFailed) if (host) failures.set(host, (failures.get(host) ?? 0) + 1)
  return failures
}
