import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'

/** A worker's presence under its host's name, which another one may have taken once this one was silent for too long. */
export type Presence = ReturnType<typeof openPresence>

/**
 * `worker` names a root on a computer, in one of its boots; it has the name for `lastsMs` milliseconds unless that is renewed.
 * `beatKey`: where its last beat is.
 */
type Settings = { key: string; beatKey: string; worker: string; lastsMs: number }

// Never without its beat: a producer that takes the host for one that is there must know the highest epoch of its journal.
const renewScript = `
  local worker = redis.call('GET', KEYS[1])
  if worker and worker ~= ARGV[1] then return worker end
  if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3]) end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false`
const releaseScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end`
const pollMs = 500

/** Opens a worker's presence; the name of the host is yet to be taken. */
export function openPresence(redis: Redis, host: string, settings: Settings) {
  const { key, beatKey, worker, lastsMs } = settings
  const { promise: lost, resolve } = Promise.withResolvers<ProvostError>()
  let isTaken = false
  let loss: ProvostError | undefined

  /** Writes a beat, and renews the name with it. Returns another worker that has the name; undefined when none has. */
  async function renew(beat: string): Promise<string | undefined> {
    const other = await redis.eval(renewScript, 2, key, beatKey, worker, lastsMs, beat)
    if (other !== null) note(String(other))
    return other === null ? undefined : String(other)
  }

  /** Returns the last beat with an epoch of this host; empty without one: then a producer waits for the first. */
  async function beatWith(epoch: number): Promise<string> {
    const last = await redis.get(beatKey)
    return last === null ? '' : JSON.stringify({ ...JSON.parse(last), epoch })
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
    /** Asks Redis whether another worker has the name. */
    async isLost(): Promise<boolean> {
      const holder = await redis.get(key)
      note(holder)
      return holder !== null && holder !== worker
    },
    /** Notes who has the name, as Redis has just said. */
    note,
    /** Why this worker has the name no longer; undefined while it has. Once lost it is never taken again. */
    loss: () => loss,
    /** Settles when it is lost. */
    lost,
    /**
     * Takes the name, before any job is taken: two workers on one host's queues would each make half of a jail. The presence of
     * a worker that was killed before a reboot ends soon. `epoch`: the highest in the journal, which the last beat gets.
     *
     * @throws ProvostError `host_unfit` while another worker reports under the name.
     */
    async take(stopping: AbortSignal, epoch = 0): Promise<void> {
      const deadline = performance.now() + lastsMs + 2 * pollMs
      for (;;) {
        const other = await untilRedisAnswers(stopping, async () => renew(await beatWith(epoch)))
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
