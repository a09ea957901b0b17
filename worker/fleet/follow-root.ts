import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import { undefinedIfAbsent } from '../host/files/paths.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import { replaceEntries } from '../journal/file.ts'
import type { Journal } from '../journal/journal.ts'
import { readOrSetAside } from '../journal/set-aside.ts'
import { recordedJails } from './recorded-jails.ts'

type Deps = {
  hostId: string
  redis: Redis
  keys: RedisKeys
  /** The root's own directory. */
  directory: string
  /** Where the jails' files of the journal are. */
  journalDirectory: string
  journal: Pick<Journal, 'accountsFor' | 'setAside' | 'jail'>
  host: Pick<HostRuntime, 'inhabitedJails'>
  /** Called when the host has become fit or unfit. */
  onChange(): void
  repeat: Repeat
  timing: Pick<Timing, 'heartbeat'>
  stopping: AbortSignal
  log: Logger
}

/**
 * Follows whether this host's root is the one that has the jails which the fleet knows here: each root has an id, in a file of its
 * own, and the fleet remembers it. An empty or another root (its file system is not mounted, `root` was changed) must not pass
 * for a host whose jails are gone. Also notices when the journal is taken away under the worker.
 */
export async function followRoot(deps: Deps) {
  const { hostId, redis, keys, journalDirectory, timing, stopping, onChange, log } = deps
  const root = await openRootId(deps)
  const identity = await identityOf(journalDirectory)
  const accepted = Promise.withResolvers<void>()
  let isAccepted = false
  let unfit: string | undefined

  async function judge(): Promise<string | undefined> {
    if ((await identityOf(journalDirectory)) !== identity)
      return `its journal in ${journalDirectory} was taken away under its worker: bring it back, then start the worker again`
    if (!isAccepted) return whyOtherRoot(root, deps)
    // A Redis that has lost it, or somebody who forgot this host.
    await redis.set(keys.hostRoot(hostId), root, 'NX')
    return undefined
  }

  async function look(): Promise<void> {
    const now = await judge()
    const before = unfit
    unfit = now
    if (now === undefined && !isAccepted) {
      isAccepted = true
      accepted.resolve()
    }
    if (now === before) return
    if (now) log.error({ reason: now }, 'this host takes no jobs')
    else log.warn('this host takes jobs again')
    onChange()
  }

  await untilRedisAnswers(stopping, look)
  const looking = deps.repeat('look-at-root', timing.heartbeat, look)
  return {
    name: looking.name,
    stop: looking.stop,
    /** The same, after a look at whether the journal is still there. */
    async unfitNow(): Promise<string | undefined> {
      if ((await identityOf(journalDirectory)) !== identity) await looking.now().catch(() => undefined)
      return unfit
    },
    /** Returns why this host must take no jobs; undefined when it may. */
    unfit: () => unfit,
    /** Settles once the root is known to be the right one. */
    accepted: accepted.promise,
  }
}

export type Root = Awaited<ReturnType<typeof followRoot>>

/** Returns why the fleet's jails of this host are not on its root. The root is the fleet's from now on when there is no reason. */
async function whyOtherRoot(root: string, deps: Deps): Promise<string | undefined> {
  const { hostId, redis, keys, directory, journal } = deps
  const known = await redis.get(keys.hostRoot(hostId))
  const jails = [...(await recordedJails(deps))]
  const missing = jails.filter(([name, { provision }]) => !journal.accountsFor(name, provision) && !journal.setAside(name))
  // Another id with all of the jails: somebody took only the file with the id away.
  const isOther = known !== null && known !== root && missing.length > 0
  const unknown = jails.length === 0 ? await unknownJails(deps) : []
  if (unknown.length > 0)
    return `${unknown.join(', ')} run here, of which neither the journal in its root ${directory} nor the fleet knows: mount the file system, or correct root, and start its worker again; if that is lost: end them, or start this computer anew`
  if (!isOther && (jails.length === 0 || missing.length < jails.length)) {
    await redis.set(keys.hostRoot(hostId), root)
    return undefined
  }
  const count = jails.length === 1 ? 'its jail' : `its ${jails.length} jails`
  const [what, remedy] =
    known === root
      ? [`the journal in its root ${directory} does not have ${count}`, 'copy it back']
      : [`its root ${directory} is not the one with ${count}`, 'mount the file system, or correct root']
  return `${what}: ${remedy}, and start its worker again; if that is lost: provost hosts forget ${hostId}`
}

/**
 * Returns the jails that run here though neither the journal nor the fleet knows them, nor holds their addresses: those would be given
 * to others. Redis has lost everything, and the root is not the one that they are of.
 */
async function unknownJails({ hostId, redis, keys, host, journal }: Deps): Promise<string[]> {
  const unknown = (await host.inhabitedJails()).filter((name) => !journal.jail(name) && !journal.setAside(name))
  return unknown.length > 0 && (await redis.exists(keys.heldLeases(hostId))) === 0 ? unknown.sort() : []
}

/** Returns the id of the root, which it keeps from its first use on. */
async function openRootId({ directory, log }: Deps): Promise<string> {
  const file = join(directory, 'root-id')
  const known = await readOrSetAside(file, (entries) => (entries as { root: string }[])[0]?.root, log)
  if (known !== undefined) return known
  const root = uuid()
  await replaceEntries(file, [{ root }])
  return root
}

/** Returns what distinguishes a directory from another one of its name; undefined while it is not there. */
async function identityOf(directory: string): Promise<string | undefined> {
  const there = await stat(directory).catch(undefinedIfAbsent)
  return there && `${there.dev}:${there.ino}`
}
