import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import { unpromise } from '../placement/place-jail.ts'
import { changeStatus } from '../records/operation-lists.ts'
import { endedExpireSeconds, type JailRecord, type OperationRecord, type Records, toFields } from '../records/records.ts'
import type { Scripts } from '../records/scripts.ts'

type Deps = {
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
  hosts: { get(id: string): PlacementHost | undefined }
  recovery: { waitsFor(id: string): boolean; forget(id: string): Promise<void> }
}

export type Forgotten = { host: string; operationsFailed: number; jailsForgotten: number; addressesHeld: number }

const pageSize = 200

/**
 * Gives a host up that is down: what waits there fails, its jails are no longer of the fleet, its capacity is not promised
 * any more. Its jails may still run, so their addresses are held until they were cleaned there, or ops know that the host
 * is powered off. Said again of a host that is forgotten, `poweredOff` gives back what is held.
 *
 * @throws ProvostError `not_found`, `host_up`.
 */
export function makeForgetHost({ redis, keys, records, scripts, hosts, recovery }: Deps) {
  async function failOperation(operation: OperationRecord): Promise<void> {
    const key = keys.operation(operation.id)
    if (hasEnded(operation.status)) return void (await redis.zrem(keys.operations('host', operation.host), operation.id))
    const at = new Date().toISOString()
    const { code, message, hint } = new ProvostError('host_forgotten', `Host ${operation.host} was forgotten.`)
    await scripts.commit({
      unchanged: [[key, operation.revision]],
      commands: [
        ['HSET', key, ...toFields({ status: 'failed', error: { code, message, hint, step: operation.step }, finishedAt: at })],
        ['HDEL', key, 'waiting'],
        ['EXPIRE', key, String(endedExpireSeconds)],
        ...changeStatus(operation, 'failed', keys),
        ['ZREM', keys.operations('host', operation.host), operation.id],
        ['ZREM', keys.wakeups, operation.id],
        ...(operation.orphan ? [['DEL', keys.cleaning(operation.orphan.provision)]] : []),
      ],
      events: [['operation', operation.id, key]],
    })
  }

  async function dropJail(jail: JailRecord): Promise<void> {
    const { name, client, host, state, limits, leases } = jail
    const key = keys.jail(name)
    const lists = [keys.jails(), keys.jails('client', client), keys.jails('host', host), keys.jails('state', state)]
    await scripts.commit({
      unchanged: [[key, jail.revision]],
      alive: keys.hostAlive(host),
      hold: leases.map(([address]) => [address, name, keys.forgottenHolder(host)]),
      commands: [
        ['DEL', key],
        ...lists.map((list) => ['ZREM', list, name]),
        ...leases.map(([address, , cidr]) => ['HSET', keys.heldLeases(host), address, keys.returned(cidr)]),
        ...unpromise(host, limits, keys),
      ],
      events: [['jail', name, key]],
    })
  }

  /** What is known of it here is a second old. @throws ProvostError `host_up`. */
  async function assertDown(host: string): Promise<void> {
    if (await redis.exists(keys.hostAlive(host))) throw new ProvostError('host_up', `Host ${host} is there: its worker reports.`)
  }

  /** Works through an index until it is empty; what changes meanwhile is met again. */
  async function emptyIndex<R>(
    host: string,
    index: string,
    read: (ids: string[]) => Promise<R[]>,
    end: (record: R) => Promise<void>,
  ): Promise<number> {
    let ended = 0
    for (;;) {
      const ids = await redis.zrange(index, '0', String(pageSize - 1))
      if (ids.length === 0) return ended
      await assertDown(host)
      const found = await read(ids)
      for (const record of found) await end(record)
      ended += found.length
      // An id without a record would be met for ever.
      if (found.length === 0) await redis.zrem(index, ...ids)
    }
  }

  /** What its worker and its queues wrote; the logs of its operations are kept. */
  async function removeKeys(host: string): Promise<void> {
    const log = keys.log(host, '')
    for await (const page of redis.scanStream({ match: `${keys.host(host)}:*`, count: 1_000 })) {
      const own = (page as string[]).filter((key) => !key.startsWith(log))
      if (own.length > 0) await redis.unlink(...own)
    }
  }

  /** @returns How many addresses are still held. */
  async function endHolding(host: string, poweredOff: boolean): Promise<number> {
    const held = keys.heldLeases(host)
    const addresses = await redis.hkeys(held)
    if (!poweredOff) return addresses.length
    await assertDown(host)
    const unhold = { held, holder: keys.forgottenHolder(host), addresses }
    await scripts.commit({ unchanged: [], unhold, commands: [], events: [] })
    return 0
  }

  return async function forgetHost(host: string, poweredOff: boolean): Promise<Forgotten> {
    const known = hosts.get(host)
    if (known && known.state !== 'down') throw new ProvostError('host_up', `Host ${host} is ${known.state}: its worker reports.`)
    const left = [keys.heldLeases(host), keys.operations('host', host), keys.jails('host', host)]
    if (!known && !recovery.waitsFor(host) && (await redis.exists(...left)) === 0)
      throw new ProvostError('not_found', `There is no host ${host}.`)

    const ended = { operations: 0, jails: 0 }
    // Until there is no jail any more, a caller may ask for another operation of one.
    do {
      ended.operations += await emptyIndex(host, keys.operations('host', host), records.operations, failOperation)
      ended.jails += await emptyIndex(host, keys.jails('host', host), records.jails, dropJail)
    } while ((await redis.exists(keys.operations('host', host), keys.jails('host', host))) > 0)
    await redis.multi().srem(keys.hosts, host).srem(keys.draining, host).del(keys.promised(host)).exec()
    await removeKeys(host)
    await recovery.forget(host)
    const addressesHeld = await endHolding(host, poweredOff)
    await scripts.commit({ unchanged: [], commands: [], events: [['host', host, '']] })
    return { host, operationsFailed: ended.operations, jailsForgotten: ended.jails, addressesHeld }
  }
}
