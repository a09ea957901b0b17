import type { RedisKeys } from '#shared/redis/keys.ts'
import { type Change, merge } from '../change.ts'
import { type Facts, setFields, toFields, withFacts } from '../fields.ts'
import { enterJailLists, enterListOfHost, leaveJailLists, leaveListOfHost, moveInJailLists } from './jail-lists.ts'
import type { JailRecord, NewJail } from './jail-record.ts'
import { promise, unpromise } from './promises.ts'

/** Every change of a jail's record. All functions are pure and return the change to commit. */

/** What an admission writes of a jail; the other fields depend on the host that takes it. */
export type UnplacedJail = Omit<NewJail, 'host' | 'leases' | 'limits' | 'worldDigest' | 'epoch'>

/** Creates a jail that has no host yet: the script that places it leases its addresses and writes its epoch. */
export function admitJail(jail: UnplacedJail, keys: RedisKeys): Change {
  const key = keys.jail(jail.name)
  return {
    unchanged: [],
    commands: [['HSET', key, ...toFields(jail)], ...enterJailLists(jail, keys)],
    events: [eventOf(jail, keys)],
  }
}

/** Returns the commands that write the host of a jail, and what depends on it. */
export function placeOnHost(
  name: string,
  host: string,
  { limits, worldDigest }: Pick<NewJail, 'limits' | 'worldDigest'>,
  keys: RedisKeys,
): string[][] {
  return [
    ['HSET', keys.jail(name), ...toFields({ host, limits, worldDigest })],
    ...enterListOfHost(name, host, keys),
    ...promise(host, limits, keys),
  ]
}

/**
 * Creates the record of a jail that exists on its host, with its leases and its promise. Leases may be held for that host, or as
 * `holders` has it by address.
 */
export function writeJail(jail: NewJail, keys: RedisKeys, holders: ReadonlyMap<string, string> = new Map()): Change {
  const { name, host, leases, limits } = jail
  const key = keys.jail(name)
  return {
    unchanged: [[key, 'revision', null]],
    lease: leases.map(([address]) => [address, name, holders.get(address) ?? keys.forgottenHolder(host)]),
    commands: [['HSET', key, ...toFields(jail)], ...enterJailLists(jail, keys), ...promise(host, limits, keys)],
    events: [eventOf(jail, keys)],
  }
}

/** Writes a jail as its host has it over a record that is older than the host. */
export function rewriteJail(before: JailRecord, jail: NewJail, keys: RedisKeys): Change {
  const kept = new Set(jail.leases.map(([address]) => address))
  const removed = { ...removeRecord(before, keys), events: [] }
  const release = releaseAll(before, keys).filter(([address]) => !kept.has(address))
  return merge(removed, { ...writeJail(jail, keys), unchanged: [] }, { release })
}

/** Changes fields of a jail; undefined removes a field. */
export function changeJail(before: JailRecord, facts: Facts<NewJail>, keys: RedisKeys): Change {
  const key = keys.jail(before.name)
  return {
    unchanged: [[key, 'revision', before.revision]],
    commands: [...setFields(key, facts, before), ...moveInJailLists(before, withFacts(before, facts), keys)],
    events: [eventOf(before, keys)],
  }
}

/** Takes a jail off its host, so that an admission can place it on another one. */
export function unplaceJail(jail: JailRecord, facts: Facts<NewJail>, keys: RedisKeys): Change {
  const { name, host, limits } = jail
  const commands = [...leaveListOfHost(name, host, keys), ...unpromise(host, limits, keys)]
  return merge(changeJail(jail, facts, keys), { commands, release: releaseAll(jail, keys) })
}

/** Removes a jail that no longer exists: its addresses can be leased again. */
export function dropJail(jail: JailRecord, keys: RedisKeys): Change {
  return merge(removeRecord(jail, keys), { release: releaseAll(jail, keys) })
}

/** Removes a jail of a forgotten host, where it may still run: its addresses are held for that host. */
export function forgetJail(jail: JailRecord, keys: RedisKeys): Change {
  const { name, host, leases } = jail
  return merge(removeRecord(jail, keys), {
    hold: leases.map(([address]) => [address, name, keys.forgottenHolder(host)]),
    commands: leases.map(([address, , cidr]) => ['HSET', keys.heldLeases(host), address, keys.returned(cidr)]),
  })
}

function releaseAll({ name, leases }: JailRecord, keys: RedisKeys): NonNullable<Change['release']> {
  return leases.map(([address, , cidr]) => [address, keys.returned(cidr), name])
}

function removeRecord(jail: JailRecord, keys: RedisKeys): Change {
  const key = keys.jail(jail.name)
  return {
    unchanged: [[key, 'revision', jail.revision]],
    commands: [['DEL', key], ...leaveJailLists(jail, keys), ...unpromise(jail.host, jail.limits, keys)],
    events: [eventOf(jail, keys)],
  }
}

const eventOf = ({ name }: { name: string }, keys: RedisKeys) => ['jail', name, keys.jail(name)] as const
