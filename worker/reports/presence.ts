import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'

/** A worker's presence under its host's name, which another one may have taken once this one was silent for too long. */
export type Presence = ReturnType<typeof openPresence>

/** `worker` names a root on a computer, in one of its boots; it has the name for `lastsMs` milliseconds unless that is renewed. */
type Settings = { key: string; worker: string; lastsMs: number }

const renewScript = `
  local worker = redis.call('GET', KEYS[1])
  if worker and worker ~= ARGV[1] then return worker end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false`
const releaseScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end`
const pollMs = 500

/** Opens a worker's presence; the name of the host is yet to be taken. */
export function openPresence(redis: Redis, host: string, settings: Settings) {
  const { key, worker, lastsMs } = settings
  const { promise: lost, resolve } = Promise.withResolvers<ProvostError>()
  let isTaken = false
  let loss: ProvostError | undefined

  /** Returns another worker that has the name; undefined when none has. */
  async function renew(): Promise<string | undefined> {
    const other = await redis.eval(renewScript, 1, key, worker, lastsMs)
    if (other !== null) note(String(other))
    return other === null ? undefined : String(other)
  }

  function note(other: string | null): void {
    if (other === null || other === worker || !isTaken || loss) return
    loss = new ProvostError(
      'host_unfit',
      `Another worker has taken the name of host ${host} while this one was silent: ${other}.`,
      {
        hint: 'Give each host of the fleet a name of its own in its worker.yaml. What this worker had begun to make is undone.',
      },
    )
    resolve(loss)
  }

  return {
    ...settings,
    name: 'presence',
    renew,
    /** Notes who has the name, as Redis has just said. */
    note,
    /** Why this worker has the name no longer; undefined while it has. Once lost it is never taken again. */
    loss: () => loss,
    /** Settles when it is lost. */
    lost,
    /**
     * Takes the name, before any job is taken: two workers on one host's queues would each make half of a jail. The presence of
     * a worker that was killed before a reboot ends soon.
     *
     * @throws ProvostError `host_unfit` while another worker reports under the name.
     */
    async take(stopping: AbortSignal): Promise<void> {
      const deadline = performance.now() + lastsMs + 2 * pollMs
      for (;;) {
        const other = await untilRedisAnswers(stopping, renew)
        if (other === undefined) break
        if (performance.now() > deadline)
          throw new ProvostError('host_unfit', `Another worker reports as host ${host}: ${other}.`, {
            hint: 'Give each host of the fleet a name of its own in its worker.yaml.',
          })
        await sleep(pollMs)
      }
      isTaken = true
    },
    /** Releases the name, so that nobody has to wait for the presence to end; if Redis does not take that, it ends by itself. */
    stop: () => redis.eval(releaseScript, 1, key, worker).catch(() => undefined),
  }
}
