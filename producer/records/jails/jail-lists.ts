import type { JailState } from '#shared/jail.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { enter, leave, move } from '../lists.ts'
import type { Store } from '../store.ts'
import type { NewJail } from './jail-record.ts'

/** Returns the key of a list of jails, ordered by name: all of them, or those of one client, host or state. */
export function jailList(of: 'all' | { client: string } | { host: string } | { state: JailState }, keys: RedisKeys): string {
  if (of === 'all') return keys.jails()
  if ('client' in of) return keys.jails('client', of.client)
  return 'host' in of ? keys.jails('host', of.host) : keys.jails('state', of.state)
}

/** Returns the shortest of the lists that a query names; its members still have to be matched against the whole query. */
export async function narrowestList(
  { redis, keys }: Store,
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

/** The fields of a jail that decide which lists it is in. A jail without a host yet is in no list of a host. */
type Listed = Pick<NewJail, 'name' | 'client' | 'state'> & { host?: string }

/** Returns all lists that a jail is in. A new kind of list is added here, and nowhere else. */
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
