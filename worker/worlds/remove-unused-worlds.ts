import type { Logger } from 'pino'
import type { WorldId } from '#shared/job.ts'
import { keyOf, type WorldStore } from './world-store.ts'

type Deps = {
  worlds: Pick<WorldStore, 'unlisted' | 'remove'>
  /** The worlds of this host's jails, also of those that are only being made. */
  used(): WorldId[]
  log: Pick<Logger, 'info' | 'warn'>
  unusedMs?: number
}

/**
 * Returns one pass that removes the filled worlds which the configuration no longer has and no jail was made of for `unusedMs`
 * milliseconds, counted over its passes.
 */
export function makeRemoveUnusedWorlds({ worlds, used, log, unusedMs = 3_600_000 }: Deps): () => Promise<void> {
  const unusedSince = new Map<string, number>()
  const isUsed = (world: WorldId) => used().some((each) => keyOf(each) === keyOf(world))

  async function remove(world: WorldId): Promise<void> {
    try {
      await worlds.remove(world)
      log.info({ world: world.name, digest: world.digest }, 'removed a world that nothing uses')
    } catch (error) {
      log.warn({ err: error, world: world.name }, 'a world that nothing uses could not be removed')
    }
  }

  return async () => {
    const unused = worlds.unlisted().filter((world) => !isUsed(world))
    const keys = unused.map(keyOf)
    for (const key of unusedSince.keys()) if (!keys.includes(key)) unusedSince.delete(key)
    for (const key of keys) if (!unusedSince.has(key)) unusedSince.set(key, performance.now())
    for (const world of unused) {
      // Asked again right before: a jail of this world may have come while the world before it was removed.
      const isDue = performance.now() - (unusedSince.get(keyOf(world)) ?? performance.now()) >= unusedMs
      if (isDue && !isUsed(world)) await remove(world)
    }
  }
}
