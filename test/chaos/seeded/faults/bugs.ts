import { connectRedis, waitForEver } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import type { WorkerConfig } from '../../../../worker/config/config.ts'
import type { RunDeps } from '../../../../worker/plans/run.ts'

/** Faults that the trials must find, each of which people have really made. */
export const bugs = ['delete before work', 'no epoch check', 'lease freed too early', 'undo skipped'] as const
export type Bug = (typeof bugs)[number]

/** What a worker's runs are given, with a fault planted in it. */
export function plantInWorker(bug: Bug | undefined, config: WorkerConfig): (deps: RunDeps) => RunDeps {
  if (bug === 'delete before work') return deleteBeforeWork(config)
  if (bug === 'no epoch check') return trustEveryJob
  return (deps) => deps
}

/** A job is taken off its queue when it begins: who is killed at it never hears of it again. */
function deleteBeforeWork({ redisUrl, redisPrefix, host }: WorkerConfig) {
  const redis = connectRedis(redisUrl, waitForEver)
  redis.on('error', () => undefined)
  const prefix = redisKeys(redisPrefix).host(host)
  const lists = ['start', 'stop'].map((queue) => `${prefix}:${host}.${queue}:active`)
  return (deps: RunDeps): RunDeps => ({
    ...deps,
    async recorded(job) {
      for (const list of lists)
        for (const id of await redis.lrange(list, 0, -1)) if (id.startsWith(job.operation)) await redis.lrem(list, 1, id)
      return deps.recorded(job)
    },
  })
}

/** A job that came is done, however late it is and whoever else has it by now. */
function trustEveryJob(deps: RunDeps): RunDeps {
  return {
    ...deps,
    journal: { ...deps.journal, epochOf: () => 0 },
    recorded: async (job) => ({ ...(await deps.recorded(job)), moved: false }),
    bind: async () => ({ type: 'bound' }),
  }
}
