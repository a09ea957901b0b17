import type { Redis } from 'ioredis'
import type { HostNotice } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import { readConsole } from '../host/jails/console.ts'
import type { Journal } from '../journal/journal.ts'

type Deps = {
  hostId: string
  host: Pick<HostRuntime, 'consoleOf'>
  journal: Pick<Journal, 'jail'>
  redis: Redis
  keys: RedisKeys
}

const keptSeconds = 30

/** Answers what a jail has printed, for a moment: null for a jail that this host does not have. */
export async function answerConsole(
  { jail, request, after, mostBytes }: Extract<HostNotice, { type: 'read-console' }>,
  { hostId, host, journal, redis, keys }: Deps,
): Promise<void> {
  const spec = journal.jail(jail)?.spec
  const answer = spec ? await readConsole(host.consoleOf(spec), { after, mostBytes }) : null
  await redis.set(keys.console(hostId, request), JSON.stringify(answer), 'EX', keptSeconds)
}
