import type { Logger } from 'pino'
import { ProvostError } from '#shared/errors.ts'
import { type DryRunOfForget, HostReport } from '#shared/host.ts'
import { hasEnded } from '#shared/operation.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { FleetHosts, PlacementHost } from '../placement/placement-host.ts'
import { merge } from '../records/change.ts'
import { forgetJail } from '../records/jails/jail-changes.ts'
import { jailList } from '../records/jails/jail-lists.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { addressesOf } from '../records/jails/leases.ts'
import { endOperation } from '../records/operations/operation-changes.ts'
import { leaveListOfHost, operationList } from '../records/operations/operation-lists.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import { announceHost } from './announce-host.ts'
import { heldOnOtherRoots, noteHeld } from './orphans/held-addresses.ts'

type Deps = Store & {
  log: Logger
  hosts: Pick<FleetHosts, 'get'>
  recovery: { waitsFor(id: string): boolean; forget(id: string): Promise<void> }
}

type Forgotten = { host: string; operationsFailed: number; jailsForgotten: number; addressesHeld: number }

const pageSize = 200

/**
 * Forgets a host that is down, or the jails of one that has lost its root: its operations fail, its jails leave the fleet, and its
 * capacity is no longer promised. Its jails may still run, so their addresses are held until the jails are cleaned there, or until
 * ops know that the host is powered off: `poweredOff`, which may also be set later for a host that is already forgotten, or is back
 * with another root, releases them.
 *
 * @throws ProvostError `not_found`, `host_up`.
 */
export async function forgetHost(deps: Deps, host: string, poweredOff: boolean): Promise<Forgotten> {
  const { redis, keys, records, hosts, recovery } = deps
  const [jails, operations] = [jailList({ host }, keys), operationList({ host }, keys)]
  const known = hosts.get(host)
  const inUse = ifInUse(known)
  if (inUse) {
    await release(deps, host, await addressesOfOtherRoots(deps, inUse, poweredOff))
    return { host, operationsFailed: 0, jailsForgotten: 0, addressesHeld: 0 }
  }
  await assertForgettable(deps, host)
  const forgotten = { host, operationsFailed: 0, jailsForgotten: 0 }
  const root = await redis.get(keys.hostRoot(host))
  // It has said itself that it takes no jobs, but it is there.
  const isUnfit = known !== undefined && known.state !== 'down'
  const dropJail = ({ scripts }: Deps, jail: JailRecord) => {
    const change = merge(forgetJail(jail, keys), { commands: noteHeld(jail, root, keys) })
    return scripts.commit(isUnfit ? change : { ...change, alive: keys.hostAlive(host) })
  }
  // As long as there is a jail, a caller may ask for another operation on it.
  do {
    forgotten.operationsFailed += await emptyList(deps, host, operations, records.operations, failOperation)
    forgotten.jailsForgotten += await emptyList(deps, host, jails, records.jails, dropJail)
  } while ((await redis.exists(operations, jails)) > 0)
  await redis.multi().srem(keys.hosts, host).srem(keys.draining, host).del(keys.promised(host)).exec()
  await removeKeys(deps, host)
  await recovery.forget(host)
  if (poweredOff && !isUnfit) await assertGone(deps, host)
  const held = await redis.hkeys(keys.heldLeases(host))
  if (poweredOff) await release(deps, host, held)
  await announceHost(deps, host)
  return { ...forgotten, addressesHeld: poweredOff ? 0 : held.length }
}

/** Returns what would go with a host if it were forgotten now. Changes nothing. @throws ProvostError `not_found`, `host_up`. */
export async function tryForgetHost(deps: Deps, host: string, poweredOff: boolean): Promise<DryRunOfForget> {
  const { redis, keys, records, hosts } = deps
  const inUse = ifInUse(hosts.get(host))
  if (inUse) {
    const { length: addressesFreed } = await addressesOfOtherRoots(deps, inUse, poweredOff)
    return { dryRun: true, host, operations: [], jails: [], addressesHeld: 0, addressesFreed }
  }
  await assertForgettable(deps, host)
  await assertGone(deps, host)
  const [jailNames, operationIds, held] = await Promise.all([
    redis.zrange(jailList({ host }, keys), '0', '-1'),
    redis.zrange(operationList({ host }, keys), '0', '-1'),
    redis.hkeys(keys.heldLeases(host)),
  ])
  const [jails, operations] = [await records.jails(jailNames), await records.operations(operationIds)]
  const addresses = held.length + jails.reduce((sum, { leases }) => sum + leases.length, 0)
  return {
    dryRun: true,
    host,
    operations: operations.filter(({ status }) => !hasEnded(status)).map(({ id, kind, jail }) => ({ id, kind, jail })),
    jails: jails.map((jail) => ({ name: jail.name, client: jail.client, state: jail.state, addresses: addressesOf(jail) })),
    addressesHeld: poweredOff ? 0 : addresses,
    addressesFreed: poweredOff ? addresses : 0,
  }
}

/** Returns a host if its worker reports, and takes jobs, as far as the registry knows. */
function ifInUse(known: PlacementHost | undefined): PlacementHost | undefined {
  return known && known.state !== 'down' && !known.unfit ? known : undefined
}

/** @throws ProvostError `not_found` for a host of which there is no trace. */
async function assertForgettable({ redis, keys, hosts, recovery }: Deps, host: string): Promise<void> {
  if (hosts.get(host) || recovery.waitsFor(host)) return
  const traces = [keys.heldLeases(host), operationList({ host }, keys), jailList({ host }, keys)]
  if ((await redis.exists(...traces)) === 0) throw new ProvostError('not_found', `There is no host ${host}.`)
}

/** Ends all records of a list until it is empty. A record that changes meanwhile is tried again. Returns how many it ended. */
async function emptyList<R>(
  deps: Deps,
  host: string,
  list: string,
  read: (ids: string[]) => Promise<R[]>,
  end: (deps: Deps, record: R) => Promise<unknown>,
): Promise<number> {
  let ended = 0
  for (;;) {
    const ids = await deps.redis.zrange(list, '0', String(pageSize - 1))
    if (ids.length === 0) return ended
    await assertGone(deps, host)
    const known = await read(ids)
    for (const record of known) await end(deps, record)
    ended += known.length
    // Ids without a record would stay in the list for ever.
    if (known.length === 0) await deps.redis.zrem(list, ...ids)
  }
}

/** Asks Redis, since the registry is a second old. @throws ProvostError `host_up`. */
async function assertGone(store: Store, host: string): Promise<void> {
  if (await isThere(store, host)) throw new ProvostError('host_up', `Host ${host} is there: its worker reports.`)
}

/** Whether a host's worker reports, and takes jobs. */
async function isThere({ redis, keys }: Store, host: string): Promise<boolean> {
  const [alive, report] = await Promise.all([redis.exists(keys.hostAlive(host)), redis.get(keys.hostReport(host))])
  return alive > 0 && (report === null || HostReport.safeParse(JSON.parse(report)).data?.unfit === undefined)
}

/** Returns what is held for jails on other roots than the one that a host is back with, to be released. @throws ProvostError `host_up`. */
async function addressesOfOtherRoots(deps: Deps, { id, state }: PlacementHost, poweredOff: boolean): Promise<string[]> {
  const addresses = await heldOnOtherRoots(deps, id)
  if (!poweredOff || addresses.length === 0) throw new ProvostError('host_up', `Host ${id} is ${state}: its worker reports.`)
  return addresses
}

async function failOperation({ keys, scripts }: Store, operation: OperationRecord): Promise<void> {
  const { id, host, status, step } = operation
  if (hasEnded(status))
    return void (await scripts.commit({ unchanged: [], commands: leaveListOfHost(id, host, keys), events: [] }))
  const { code, message, hint } = new ProvostError('host_forgotten', `Host ${host} was forgotten.`)
  const finishedAt = fleetTime().toISOString()
  await scripts.commit(endOperation(operation, { status: 'failed', error: { code, message, hint, step }, finishedAt }, keys))
}

/** Removes what its worker and its queues wrote, but not the logs of its operations. */
async function removeKeys({ redis, keys }: Store, host: string): Promise<void> {
  const log = keys.log(host, '')
  for await (const page of redis.scanStream({ match: `${keys.host(host)}:*`, count: 1_000 })) {
    const own = (page as string[]).filter((key) => !key.startsWith(log))
    if (own.length > 0) await redis.unlink(...own)
  }
}

/** Gives held addresses free. */
async function release({ keys, scripts }: Store, host: string, addresses: string[]): Promise<void> {
  const unhold = { held: keys.heldLeases(host), holder: keys.forgottenHolder(host), addresses }
  const commands = addresses.map((address) => ['HDEL', keys.heldFor(host), address])
  await scripts.commit({ unchanged: [], unhold, commands, events: [] })
}
