import type { ErrorCode } from '#shared/errors.ts'
import { type Resource, resources, type WorldState } from '#shared/host.ts'
import type { CreateJail } from '#shared/jail.ts'
import { parseBlock } from '#shared/network/addresses.ts'
import { lackOf } from './lacks.ts'
import { oncePer } from './once-per.ts'
import type { PlacementHost } from './placement-host.ts'
import { blockOf, givesOut, poolOf } from './pool-facts.ts'
import { type WorldConflicts, worldConflicts } from './world-conflicts.ts'

/** What a host must have to take a jail. `lack` says, of a host for which it is not met, what is wrong. */
export type Requirement = { code: ErrorCode; met(host: PlacementHost): boolean; lack(host: PlacementHost): string }

const worldsByName = oncePer((worlds: WorldState[]) => new Map(worlds.map((world) => [world.name, world])))
export const worldOn = (host: PlacementHost, name: string) => worldsByName(host.worlds).get(name)

const labelKeysOf = oncePer((hosts: PlacementHost[]) => new Set(hosts.flatMap(({ labels }) => Object.keys(labels))))
const conflictsOf = oncePer((hosts: PlacementHost[]) => worldConflicts(hosts))

/** All that a jail requires of a host of this fleet, in the order in which a lack of it is told. */
export function requirementsOf(ask: CreateJail, fleet: PlacementHost[]): Requirement[] {
  // A label whose key no host declares is the jail's own affair.
  const wishes = Object.entries(ask.labels ?? {}).filter(([key]) => labelKeysOf(fleet).has(key))
  return [
    isUp,
    offersWorld(ask.world),
    ...definesWorldAsOthers(ask.world, conflictsOf(fleet)),
    ...wishes.map(hasLabel),
    ...(ask.limits?.disk === undefined ? [] : [holdsDiskLimit]),
    ...resources.map((resource) => isLargeEnough(resource, ask)),
    ...(ask.addresses ?? []).flatMap((address) => [hasPoolOf(address), isGivenOut(address)]),
  ]
}

/** What a jail would count for on a host: what it asks, or else the host's default. */
export function neededOf(resource: Resource, ask: CreateJail, { defaults }: PlacementHost): number {
  if (resource === 'jails') return 1
  return ask.limits?.[resource] ?? (resource === 'disk' ? 0 : defaults[resource])
}

const isUp: Requirement = {
  code: 'no_suitable_host',
  met: ({ state }) => state === 'up',
  lack: ({ state, reason }) => `is ${state}${reason ? ` (${reason})` : ''}`,
}

const offersWorld = (name: string): Requirement => ({
  code: 'unknown_world',
  met: (host) => worldOn(host, name) !== undefined,
  lack: () => `does not offer world ${name}`,
})

function definesWorldAsOthers(name: string, conflicts: WorldConflicts): Requirement[] {
  const platforms = conflicts.get(name)
  if (!platforms) return []
  const otherHost = (host: PlacementHost): string | undefined => {
    const digest = worldOn(host, name)?.digest
    return [...(platforms.get(host.platform) ?? [])].find(([other]) => other !== digest)?.[1]
  }
  return [
    {
      code: 'no_suitable_host',
      met: ({ platform }) => !platforms.has(platform),
      lack: (host) => `offers world ${name} by another definition than host ${otherHost(host)}`,
    },
  ]
}

const hasLabel = ([key, value]: [string, string]): Requirement => ({
  code: 'no_suitable_host',
  met: ({ labels }) => labels[key] === value,
  lack: () => `has not the label ${key}=${value}`,
})

const holdsDiskLimit: Requirement = {
  code: 'unsupported_limit',
  met: ({ supports }) => supports.diskLimit,
  lack: () => 'cannot hold a limit of disk',
}

/** Whether it would fit on the host if that were empty. What is left is for the ledger to say, when the jail is admitted. */
const isLargeEnough = (resource: Resource, ask: CreateJail): Requirement => ({
  code: 'no_capacity',
  met: (host) => neededOf(resource, ask, host) <= (host.capacity[resource] ?? Number.POSITIVE_INFINITY),
  lack: () => lackOf(resource),
})

function hasPoolOf(address: string): Requirement {
  const asked = parseBlock(address)
  const hasPrefix = address.includes('/')
  return {
    code: 'address_not_in_pool',
    met({ pools }) {
      const pool = poolOf(pools, asked)
      return pool !== undefined && (!hasPrefix || blockOf(pool).prefix === asked.prefix)
    },
    lack({ pools }) {
      const pool = poolOf(pools, asked)
      if (!pool) return `has no pool that ${address} is in`
      return `has ${address} in pool ${pool.cidr}, whose prefix is /${blockOf(pool).prefix}`
    },
  }
}

function isGivenOut(address: string): Requirement {
  const asked = parseBlock(address)
  return {
    code: 'address_not_in_pool',
    met({ pools }) {
      const pool = poolOf(pools, asked)
      return pool !== undefined && givesOut(pool, asked)
    },
    lack: ({ pools }) =>
      `never gives out ${address} of pool ${poolOf(pools, asked)?.name}: it is its gateway, excluded, or the network's own`,
  }
}
