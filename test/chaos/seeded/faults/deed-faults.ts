import type { Operation } from '#shared/operation.ts'
import type { Deed } from '../fleet/host-files.ts'

/** A deed with the host that did it. */
export type HostDeed = Deed & { host: string }

/** Deeds after the compare-and-set that binds an operation to its host. */
const boundVerbs = ['ensureNetwork', 'ensureJail', 'startCommand', 'proveIsolation']

/** What hosts did that they must never do, by the logs of all of them in the order of time. */
export function deedFaults(deeds: HostDeed[], operations: Operation[]): string[] {
  return [
    ...deeds.flatMap(({ host, jail, fault }) => (fault ? [`${host}: ${jail}: ${fault}`] : [])),
    ...lateDeeds(deeds),
    ...sharedThings(deeds),
    ...deedsAfterMoves(deeds, operations),
    ...repeatedFills(deeds),
  ]
}

/** On one host, a deed for an older epoch once one for a newer had begun. */
function lateDeeds(deeds: HostDeed[]): string[] {
  const newest = new Map<string, number>()
  return deeds.flatMap(({ host, jail, verb, phase, epoch, operation }) => {
    if (!jail || verb === 'fault') return []
    const name = `${host}/${jail}`
    if (epoch === undefined) return [`${name}: ${verb} without anything in the journal`]
    const seen = newest.get(name) ?? 0
    newest.set(name, Math.max(seen, epoch))
    return epoch < seen ? [`${name}: ${verb} ${phase} for epoch ${epoch} (${operation}) after epoch ${seen}`] : []
  })
}

/** A jail that ran on two hosts, an address that two jails had, at any time. */
function sharedThings(deeds: HostDeed[]): string[] {
  const jails = new Map<string, Set<string>>()
  const addresses = new Map<string, Set<string>>()
  const faults = new Set<string>()
  const add = (map: Map<string, Set<string>>, what: string, who: string, fault: string) => {
    const all = map.get(what) ?? new Set()
    map.set(what, all.add(who))
    if (all.size > 1) faults.add(`${fault}: ${what}: ${[...all].join(' and ')}`)
  }
  for (const { host, verb, phase, jail, provision = '', addresses: given = [] } of deeds) {
    if (phase !== 'done') continue
    const holder = `${host}/${jail}/${provision}`
    if (verb === 'ensureJail') add(jails, provision, host, 'a jail runs on two hosts')
    if (verb === 'removeJail') jails.get(provision)?.delete(host)
    if (verb === 'ensureNetwork') for (const address of given) add(addresses, address, holder, 'an address of two jails')
    if (verb === 'removeNetwork') for (const all of addresses.values()) all.delete(holder)
    if (verb === 'boot') {
      for (const all of jails.values()) all.delete(host)
      for (const all of addresses.values()) for (const each of all) if (each.startsWith(`${host}/`)) all.delete(each)
    }
  }
  return [...faults]
}

function deedsAfterMoves(deeds: HostDeed[], operations: Operation[]): string[] {
  return operations.flatMap(({ id, moves = [] }) =>
    moves.flatMap(({ from, epoch }) =>
      deeds
        .filter((deed) => deed.host === from && deed.operation === id && (deed.epoch ?? 0) < epoch)
        .filter(({ verb }) => boundVerbs.includes(verb))
        .map(({ verb, jail }) => `${from}/${jail}: ${verb} for operation ${id}, which was moved away unbound`),
    ),
  )
}

function repeatedFills(deeds: HostDeed[]): string[] {
  const filled = new Set<string>()
  return deeds.flatMap(({ host, verb, world }) => {
    if (!world) return []
    const name = `${host}: world ${world}`
    if (verb === 'removeWorld') filled.delete(name)
    if (verb !== 'commitWorld') return []
    if (filled.has(name)) return [`${name} was filled twice`]
    filled.add(name)
    return []
  })
}
