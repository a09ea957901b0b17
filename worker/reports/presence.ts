import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'

/** Which worker a host's name belongs to: a root on a computer, in one of its boots. */
export type Presence = { key: string; holder: string /** How long it lasts unless renewed, in milliseconds. */; lastsMs: number }

const renewScript = `
  local holder = redis.call('GET', KEYS[1])
  if holder and holder ~= ARGV[1] then return holder end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false`
const pollMs = 500

/** Says that this worker is there. Returns the holder of another one that is, under the same name. */
export async function renewPresence(redis: Redis, { key, holder, lastsMs }: Presence): Promise<string | undefined> {
  const other = await redis.eval(renewScript, 1, key, holder, lastsMs)
  return other === null ? undefined : String(other)
}

/**
 * Takes a host's name in the fleet, before any job is taken: two workers on one host's queues would each do half of a
 * jail. One that was killed before a reboot is silent soon enough. What is returned says, when it is stopped, that the host is
 * away, so that nobody has to wait for its silence.
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
