import type { Logger } from 'pino'
import type { HostRegistry } from '../hosts/host-registry.ts'
import { jailList } from '../records/jails/jail-lists.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { pagesOf } from '../records/lists.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { Store } from '../records/store.ts'

type Deps = Store & { hosts: Pick<HostRegistry, 'withoutLedger'>; log: Logger }

const pageSize = 200

/** Makes anew, from the records, what Redis has lost of leases and of hosts' ledgers while it has kept the records. */
export async function rebuildLedgers(deps: Deps): Promise<void> {
  await rebuildPromises(deps)
  await rebuildLeases(deps)
}

/** Returns the highest epoch that the records have; 0 without any. */
export async function highestRecordedEpoch({ redis, keys, records }: Store): Promise<number> {
  let highest = 0
  const note = ({ epoch }: { epoch: number }) => {
    highest = Math.max(highest, epoch)
  }
  for await (const names of pagesOf(redis, jailList('all', keys), pageSize)) (await records.jails(names)).forEach(note)
  for await (const ids of pagesOf(redis, operationList('all', keys), pageSize)) (await records.operations(ids)).forEach(note)
  return highest
}

async function rebuildPromises({ hosts, keys, scripts, log }: Deps): Promise<void> {
  for (const host of hosts.withoutLedger()) {
    await scripts.rebuildPromises([keys.promised(host), jailList({ host }, keys)], keys.jail(''))
    log.warn({ host }, 'Redis had lost what the host has promised: it is counted anew from the records')
  }
}

/** Until they are rebuilt no address is given out: `records/scripts/admit.lua` compares the same count. */
async function rebuildLeases(deps: Deps): Promise<void> {
  const { redis, keys, records, scripts, log } = deps
  if ((await scripts.countLeases([keys.leases], 'look')) === 0) return
  log.error('Redis has lost leases: they are rebuilt from the records')
  for await (const names of pagesOf(redis, jailList('all', keys), pageSize))
    for (const jail of await records.jails(names)) await leaseAgain(deps, jail)
  await holdAgain(deps)
  await scripts.countLeases([keys.leases], 'set')
}

async function leaseAgain({ keys, records, scripts, log }: Deps, jail: JailRecord): Promise<void> {
  for (let now: JailRecord | undefined = jail; now; ) {
    const { name, leases, revision } = now
    const lease = leases.map(([address]): [string, string, string] => [address, name, name])
    const committed = await scripts.commit({
      unchanged: [[keys.jail(name), 'revision', revision]],
      lease,
      commands: [],
      events: [],
    })
    if (committed.type === 'leased') log.error({ jail: name, ...committed }, 'an address of the jail is leased to another one')
    if (committed.type !== 'changed') return
    now = await records.jail(name)
  }
}

/** The same for the addresses that are held. */
async function holdAgain({ redis, keys, scripts }: Deps): Promise<void> {
  const prefix = keys.heldLeases('')
  for await (const page of redis.scanStream({ match: `${prefix.replace(/[[\]*?\\]/g, '\\$&')}*`, count: 1_000 }))
    for (const held of page as string[]) {
      const holder = keys.forgottenHolder(held.slice(prefix.length))
      for (const address of await redis.hkeys(held))
        await scripts.commit({ unchanged: [], lease: [[address, holder, holder]], commands: [], events: [] })
    }
}
