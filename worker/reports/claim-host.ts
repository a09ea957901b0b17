import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'

/** Which worker a host's name belongs to: a root on a computer, in one of its boots. */
export type Claim = { key: string; holder: string /** How long it holds, in milliseconds. */; holdsMs: number }

const claimScript = `
  local holder = redis.call('GET', KEYS[1])
  if holder and holder ~= ARGV[1] then return holder end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false`
const pollMs = 500

/** Says that this worker is there. Gives another one that is, under the same name. */
export async function renewClaim(redis: Redis, { key, holder, holdsMs }: Claim): Promise<string | undefined> {
  const other = await redis.eval(claimScript, 1, key, holder, holdsMs)
  return other === null ? undefined : String(other)
}

/**
 * Takes a host's name in the fleet, before any job is taken: two workers on one host's queues would each do half of a
 * jail. One that was killed before a reboot is silent soon enough.
 *
 * @throws ProvostError `host_unfit` while another worker reports under the name.
 */
export async function claimHost(redis: Redis, host: string, claim: Claim, stopping: AbortSignal): Promise<void> {
  const deadline = Date.now() + claim.holdsMs + 2 * pollMs
  for (;;) {
    const other = await untilRedisAnswers(stopping, () => renewClaim(redis, claim))
    if (other === undefined) return
    if (Date.now() > deadline)
      throw new ProvostError('host_unfit', `Another worker reports as host ${host}: ${other}.`, {
        hint: 'Give each host of the fleet a name of its own in its worker.yaml.',
      })
    await sleep(pollMs)
  }
}
