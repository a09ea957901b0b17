import type { ErrorCode } from '#shared/errors.ts'
import { type Resource, resources, type WorldState } from '#shared/host.ts'
import type { CreateJail } from '#shared/jail.ts'
import { parseBlock } from '#shared/network/addresses.ts'
import { toLedger } from '../records/jails/promises.ts'
import { memoize } from './memoize.ts'
import type { PlacementHost } from './placement-host.ts'
import { blockOf, givesOut, poolOf } from './pool-facts.ts'
import { amountText } from './refusals.ts'
import { type WorldConflicts, worldConflicts } from './world-conflicts.ts'

/** What a host must have to take a jail. `detail` describes what a host that does not meet it lacks. */
export type Requirement = { code: ErrorCode; met(host: PlacementHost): boolean; detail(host: PlacementHost): string }

const worldsByName = memoize((worlds: WorldState[]) => new Map(worlds.map((world) => [world.name, world])))
export const worldOn = (host: PlacementHost, name: string) => worldsByName(host.worlds).get(name)

const labelKeysOf = memoize((hosts: PlacementHost[]) => new Set(hosts.flatMap(({ labels }) => Object.keys(labels))))
const conflictsOf = memoize((hosts: PlacementHost[]) => worldConflicts(hosts))

/** Returns all that a jail requires of a host of this fleet. The first requirement that is not met is the one reported. */
export function requirementsOf(ask: CreateJail, fleet: PlacementHost[]): Requirement[] {
  // A label whose key no host declares does not concern placement.
  const required = Object.entries(ask.labels ?? {}).filter(([key]) => labelKeysOf(fleet).has(key))
  return [
    isUp,
    hasRoom,
    offersWorld(ask.world),
    ...definesWorldAsOthers(ask.world, conflictsOf(fleet)),
    ...required.map(hasLabel),
    ...(ask.limits?.disk === undefined ? [] : [enforcesDiskLimit]),
    ...(ask.privileges?.setuid ? [allowsSetuid] : []),
    ...resources.map((resource) => isLargeEnough(resource, ask)),
    ...(ask.addresses ?? []).flatMap((address) => [hasPoolOf(address), isGivenOut(address)]),
  ]
}

/** Returns how much of a resource a jail would take on a host: what it asks for, or else the host's default. */
export function neededOf(resource: Resource, ask: CreateJail, { defaults }: PlacementHost): number {
  if (resource === 'jails') return 1
  return ask.limits?.[resource] ?? (resource === 'disk' ? 0 : defaults[resource])
}

const isUp: Requirement = {
  code: 'no_suitable_host',
  met: ({ state }) => state === 'up',
  detail: ({ state, reason }) => `is ${state}${reason ? ` (${reason})` : ''}`,
}

const hasRoom: Requirement = {
  code: 'no_capacity',
  met: ({ disk }) => !disk?.isFull,
  detail: () => 'has a full disk',
}

const offersWorld = (name: string): Requirement => ({
  code: 'unknown_world',
  met: (host) => worldOn(host, name) !== undefined,
  detail: () => `does not offer world ${name}`,
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
      detail: (host) => `offers world ${name} by another definition than host ${otherHost(host)}`,
    },
  ]
}

const hasLabel = ([key, value]: [string, string]): Requirement => ({
  code: 'no_suitable_host',
  met: ({ labels }) => labels[key] === value,
  detail: () => `has not the label ${key}=${value}`,
})

const enforcesDiskLimit: Requirement = {
  code: 'unsupported_limit',
  met: ({ supports }) => supports.diskLimit,
  detail: () => 'cannot hold a limit of disk',
}

const allowsSetuid: Requirement = {
  code: 'no_suitable_host',
  met: ({ supports }) => supports.setuid !== 'never',
  detail: () => 'does not allow setuid programs in jails: `privileges: {setuid: true}` in its worker.yaml does',
}

/** Whether the jail would fit if the host were empty. What is left in its ledger is checked when the jail is admitted. */
const isLargeEnough = (resource: Resource, ask: CreateJail): Requirement => ({
  code: 'no_capacity',
  met: (host) => neededOf(resource, ask, host) <= (host.capacity[resource] ?? Number.POSITIVE_INFINITY),
  detail(host) {
    const amounts = [host.capacity[resource] ?? 0, neededOf(resource, ask, host)]
    const [all, needed] = amounts.map((amount) => amountText(resource, toLedger(resource, amount)))
    return `is too small: it has ${all} of ${resource} in all, and the jail needs ${needed}`
  },
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
    detail({ pools }) {
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
    detail: ({ pools }) =>
      `never gives out ${address} of pool ${poolOf(pools, asked)?.name}: it is its gateway, excluded, or the network's own`,
  }
}
