import type { JailState } from '#shared/jail.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { enter, leave, move } from '../lists.ts'
import type { Store } from '../store.ts'
import type { NewJail } from './jail-record.ts'

/** A list of jails, by name: all, or those of one client, host or state. */
export type JailList = 'all' | { client: string } | { host: string } | { state: JailState }

/** Returns the key of a list. */
export function jailList(of: JailList, keys: RedisKeys): string {
  if (of === 'all') return keys.jails()
  if ('client' in of) return keys.jails('client', of.client)
  return 'host' in of ? keys.jails('host', of.host) : keys.jails('state', of.state)
}

/** Of the lists that a query names the shortest; what it has beyond the others is left out record by record. */
export async function narrowestList(
  { redis, keys }: Pick<Store, 'redis' | 'keys'>,
  { client, host, state }: { client?: string | undefined; host?: string | undefined; state?: JailState | undefined },
): Promise<string> {
  const named = [
    ...(client === undefined ? [] : [jailList({ client }, keys)]),
    ...(host === undefined ? [] : [jailList({ host }, keys)]),
    ...(state === undefined ? [] : [jailList({ state }, keys)]),
  ]
  const all = jailList('all', keys)
  if (named.length <= 1) return named[0] ?? all
  const sizes = await Promise.all(named.map((list) => redis.zcard(list)))
  return named[sizes.indexOf(Math.min(...sizes))] ?? all
}

/** What of a jail decides in which lists it stands. One that has no host yet stands in none of a host. */
type Listed = Pick<NewJail, 'name' | 'client' | 'state'> & { host?: string }

/** All lists that a jail stands in: a new one has its place here, and nowhere else. */
function listsOf({ client, host, state }: Listed, keys: RedisKeys): string[] {
  return [
    keys.jails(),
    keys.jails('client', client),
    keys.jails('state', state),
    ...(host === undefined ? [] : [keys.jails('host', host)]),
  ]
}

export const enterJailLists = (jail: Listed, keys: RedisKeys) => enter(listsOf(jail, keys), jail.name)
export const leaveJailLists = (jail: Listed, keys: RedisKeys) => leave(listsOf(jail, keys), jail.name)
export const moveInJailLists = (before: Listed, after: Listed, keys: RedisKeys) =>
  move(listsOf(before, keys), listsOf(after, keys), before.name)
