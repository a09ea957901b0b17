import pLimit from 'p-limit'
import type { Logger } from 'pino'
import type { z } from 'zod'
import { bareAddress } from '#shared/network/addresses.ts'
import { hasEnded } from '#shared/operation.ts'
import { type FleetHost, type Upload, UploadedJail, UploadedOperation } from '#shared/recovery.ts'
import { holdAddresses } from '../hosts/orphans/hold-orphans.ts'
import type { PlacementHost } from '../placement/placement-host.ts'
import { type Change, merge } from '../records/change.ts'
import { jailList } from '../records/jails/jail-lists.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import type { NewOperation, OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import { rebuildJail, rebuildOperation, rebuiltOperation } from './rebuild-records.ts'
import { dropGone, isJailStale, isOperationStale } from './stale-records.ts'

type Deps = Store & { log: Logger }

/** A host that has uploaded all of its journal. `isForgotten`: its jails no longer belong to the fleet. */
export type Uploaded = { host: PlacementHost; upload: Upload; isForgotten: boolean }

type HostJail = { host: PlacementHost; jail: UploadedJail }
type Conflicts = Map<string, { jail: string; detail: string }[]>

const pageSize = 500
const atOnce = 8
/** How many changes are committed together: a commit blocks Redis while it lasts. */
const perCommit = 25

/**
 * Rebuilds the records of the jails and operations that hosts have uploaded. A record stays unless it is older than its host, so it
 * may be repeated, also by two producers at once. Of two jails with the same name or address the one with the higher epoch gets its record; the other
 * one is an orphan of its host, whose addresses are held.
 */
export async function rebuildFromJournals(deps: Deps, uploads: Uploaded[]): Promise<void> {
  const { redis, keys, scripts, log } = deps
  await scripts.raiseEpoch(Math.max(...uploads.map(({ upload }) => upload.epoch)))
  const conflicts = await rebuildJails(deps, uploads)
  for (const uploaded of uploads) {
    const { host, upload, isForgotten } = uploaded
    const operations = await rebuildOperations(deps, uploaded, conflicts)
    const refused = conflicts.get(host.id) ?? []
    const jails = isForgotten ? 0 : upload.jails - refused.length
    const state = isForgotten ? 'forgotten' : 'taken'
    const now: FleetHost = { state, upload: upload.id, jails, operations, conflicts: refused }
    await redis.hset(keys.fleetHosts, host.id, JSON.stringify(now))
    log.warn({ host: host.id, jails, operations, conflicts: refused.length }, 'took in the journal of a host')
  }
}

async function rebuildJails(deps: Deps, uploads: Uploaded[]): Promise<Conflicts> {
  const conflicts: Conflicts = new Map(uploads.map(({ host }) => [host.id, []]))
  const note = async ({ host, jail }: HostJail, detail: string) => {
    conflicts.get(host.id)?.push({ jail: jail.spec.name, detail })
    await holdAddresses(deps, host, jail.spec.addresses)
    deps.log.warn({ host: host.id, jail: jail.spec.name, detail }, 'a jail could not be taken in: it is an orphan of its host')
  }
  const jails = await readJails(deps, uploads)
  for (const { host, upload, isForgotten } of uploads) {
    if ((await deps.redis.zcard(jailList({ host: host.id }, deps.keys))) === 0) continue
    const own = jails.flatMap(({ host: of, jail }) => (of.id === host.id ? [jail] : []))
    if (!isForgotten) await dropGone(deps, host.id, own, readOperations(deps, host.id, upload))
  }
  const { winners, losers } = settleConflicts(jails)
  for (const left of await commitTogether(deps, winners, ({ host, jail }) => rebuildJail(host, jail, undefined, deps.keys))) {
    const detail = await rebuildOneJail(deps, left)
    if (detail) await note(left, detail)
  }
  // Once all others have theirs.
  for (const { loser, detail } of losers) await note(loser, detail)
  return conflicts
}

/** Returns all uploaded jails, the highest epoch first. */
async function readJails(deps: Deps, uploads: Uploaded[]): Promise<HostJail[]> {
  const all: HostJail[] = []
  for (const { host, upload, isForgotten } of uploads) {
    if (isForgotten) continue
    for await (const page of readPages(deps, host.id, UploadedJail, 0, upload.jails))
      for (const jail of page) all.push({ host, jail })
  }
  return all.sort((a, b) => b.jail.epoch - a.jail.epoch)
}

/** Splits jails, in the order of precedence, into those whose name and addresses no earlier one has, and the others. */
function settleConflicts(jails: HostJail[]): { winners: HostJail[]; losers: { loser: HostJail; detail: string }[] } {
  const names = new Map<string, string>()
  const addresses = new Map<string, string>()
  const winners: HostJail[] = []
  const losers: { loser: HostJail; detail: string }[] = []
  for (const each of jails) {
    const { name, addresses: own } = each.jail.spec
    const taken = own.find((address) => addresses.has(address))
    if (names.has(name)) losers.push({ loser: each, detail: nameTaken(name, names.get(name)) })
    else if (taken) losers.push({ loser: each, detail: addressTaken(taken, addresses.get(taken)) })
    else {
      names.set(name, each.host.id)
      for (const address of own) addresses.set(address, name)
      winners.push(each)
    }
  }
  return { winners, losers }
}

/** Returns why a jail cannot get a record, or undefined. */
async function rebuildOneJail({ scripts, records, keys }: Deps, { host, jail }: HostJail): Promise<string | undefined> {
  const { name, provision } = jail.spec
  for (let before: JailRecord | undefined; ; ) {
    const committed = await scripts.commit(rebuildJail(host, jail, before, keys))
    if (committed.type === 'done') return undefined
    if (committed.type === 'leased') return addressTaken(committed.address, committed.holder)
    before = await records.jail(name)
    if (before && !isJailStale(before, host.id, jail))
      return before.provision === provision && before.host === host.id ? undefined : nameTaken(name, before.host)
  }
}

/** Rebuilds operations page by page, since there may be very many. Returns how many. */
async function rebuildOperations(deps: Deps, { host, upload, isForgotten }: Uploaded, conflicts: Conflicts): Promise<number> {
  const refused = new Map(conflicts.get(host.id)?.map(({ jail, detail }) => [jail, detail]))
  let rebuilt = 0
  for await (const page of readOperations(deps, host.id, upload)) {
    const wanted = page.filter(({ status }) => !isForgotten || hasEnded(status))
    const operations = wanted.map((entry) => rebuiltOperation(host.id, entry, refused.get(entry.jail)))
    const left = await commitTogether(deps, operations, (operation) => rebuildOperation(operation, undefined, deps.keys))
    for (const operation of left) await rebuildOneOperation(deps, operation)
    rebuilt += operations.length
  }
  return rebuilt
}

const readOperations = (deps: Deps, host: string, { jails, operations }: Upload) =>
  readPages(deps, host, UploadedOperation, jails, jails + operations)

async function rebuildOneOperation({ scripts, records, keys }: Deps, operation: NewOperation): Promise<void> {
  for (let before: OperationRecord | undefined; ; ) {
    // No journal has the request that a cancelled provision is admitted from again.
    const request = before?.request ? { request: before.request } : {}
    const committed = await scripts.commit(rebuildOperation({ ...operation, ...request }, before, keys))
    if (committed.type !== 'changed') return
    before = await records.operation(operation.id)
    if (before && !isOperationStale(before, operation)) return
  }
}

/** Yields entries of a host's journal page by page. An entry that cannot be parsed is logged, and lost. */
async function* readPages<S extends z.ZodType>(
  { redis, keys, log }: Deps,
  host: string,
  schema: S,
  from: number,
  to: number,
): AsyncGenerator<z.infer<S>[]> {
  for (let at = from; at < to; at += pageSize) {
    const page = await redis.lrange(keys.hostJournal(host), at, Math.min(at + pageSize, to) - 1)
    yield page.flatMap((text) => {
      const entry = schema.safeParse(JSON.parse(text))
      if (!entry.success) log.error({ host, fault: entry.error.message }, 'an entry of a journal cannot be read and is lost')
      return entry.success ? [entry.data] : []
    })
  }
}

/** Commits changes in groups. Returns the items of the groups that could not be committed as a whole. */
async function commitTogether<T>({ scripts }: Deps, all: T[], changeOf: (each: T) => Change): Promise<T[]> {
  const slots = pLimit(atOnce)
  const groups = Array.from({ length: Math.ceil(all.length / perCommit) }, (_, i) =>
    all.slice(i * perCommit, (i + 1) * perCommit),
  )
  const left = groups.map((group) =>
    slots(async () => ((await scripts.commit(merge(...group.map(changeOf)))).type === 'done' ? [] : group)),
  )
  return (await Promise.all(left)).flat()
}

const nameTaken = (name: string, host?: string) => `The fleet has another jail called ${name}, on host ${host}.`
const addressTaken = (address: string, holder?: string) => `Its address ${bareAddress(address)} is leased to ${holder}.`
