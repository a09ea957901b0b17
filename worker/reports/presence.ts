import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'

/**
 * The worker that has taken a host's name: `worker` names a root on a computer, in one of its boots. It lasts `lastsMs`
 * milliseconds unless it is renewed.
 */
export type Presence = { key: string; worker: string; lastsMs: number }

const renewScript = `
  local worker = redis.call('GET', KEYS[1])
  if worker and worker ~= ARGV[1] then return worker end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false`
const pollMs = 500

/** Renews this worker's presence. Returns another worker that has taken the name; undefined when none has. */
export async function renewPresence(redis: Redis, { key, worker, lastsMs }: Presence): Promise<string | undefined> {
  const other = await redis.eval(renewScript, 1, key, worker, lastsMs)
  return other === null ? undefined : String(other)
}

/**
 * Takes a host's name in the fleet, before any job is taken: two workers on one host's queues would each make half of a jail.
 * The presence of a worker that was killed before a reboot ends soon. Stopping the service that is returned gives the name
 * back, so that nobody has to wait for the presence to end.
 *
 * @throws ProvostError `host_unfit` while another worker reports under the name.
 */
export async function takePresence(redis: Redis, host: string, presence: Presence, stopping: AbortSignal) {
  const deadline = Date.now() + presence.lastsMs + 2 * pollMs
  for (;;) {
    const other = await untilRedisAnswers(stopping, () => renewPresence(redis, presence))
    if (other === undefined) return { name: 'presence', stop: () => redis.del(presence.key) }
    if (Date.now() > deadline)
      throw new ProvostError('host_unfit', `Another worker reports as host ${host}: ${other}.`, {
        hint: 'Give each host of the fleet a name of its own in its worker.yaml.',
      })
    await sleep(pollMs)
  }
}
