import type { RedisKeys } from '#shared/redis/keys.ts'
import { enter, leave, move } from '../lists.ts'
import type { Store } from '../store.ts'
import type { NewJail } from './jail-record.ts'

/** There is a list of jails for each value of these fields, ordered by name. A new kind of list is added here, and nowhere else. */
const listedBy = ['client', 'host', 'state'] as const
type ListedBy = (typeof listedBy)[number]

/** The fields of a jail that decide which lists it is in. A jail without a host yet is in no list of a host. */
type Listed = Pick<NewJail, 'name' | ListedBy>
type Unplaced = Omit<Listed, 'host'>

type Query = { [By in ListedBy]?: NewJail[By] | undefined }

/** Returns the lists of the given values. */
function listsFor(query: Query, keys: RedisKeys): string[] {
  return listedBy.flatMap((by) => (query[by] === undefined ? [] : [keys.jails(by, query[by])]))
}

/** Returns the key of a list of jails: all of them, or those of one client, host or state. */
export function jailList(of: 'all' | { [By in ListedBy]: Pick<NewJail, By> }[ListedBy], keys: RedisKeys): string {
  return (of === 'all' ? undefined : listsFor(of, keys)[0]) ?? keys.jails()
}

/** Returns the shortest of the lists that a query names; its members still have to be matched against the whole query. */
export async function narrowestList({ redis, keys }: Store, query: Query): Promise<string> {
  const named = listsFor(query, keys)
  if (named.length <= 1) return named[0] ?? keys.jails()
  const sizes = await Promise.all(named.map((list) => redis.zcard(list)))
  return named[sizes.indexOf(Math.min(...sizes))] ?? keys.jails()
}

const listsOf = (jail: Listed | Unplaced, keys: RedisKeys) => [keys.jails(), ...listsFor(jail, keys)]

export const enterJailLists = (jail: Listed | Unplaced, keys: RedisKeys) => enter(listsOf(jail, keys), jail.name)
export const leaveJailLists = (jail: Listed, keys: RedisKeys) => leave(listsOf(jail, keys), jail.name)
export const moveInJailLists = (before: Listed, after: Listed, keys: RedisKeys) =>
  move(listsOf(before, keys), listsOf(after, keys), before.name)

/** Return the commands for a jail that is placed on a host, or taken off it. */
export const enterListOfHost = (name: string, host: string, keys: RedisKeys) => enter(listsFor({ host }, keys), name)
export const leaveListOfHost = (name: string, host: string, keys: RedisKeys) => leave(listsFor({ host }, keys), name)
