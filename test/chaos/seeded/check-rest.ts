import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { hasEnded } from '#shared/operation.ts'
import { type JailRecord, jailFromFields } from '../../../producer/records/jails/jail-record.ts'
import { promiseOf } from '../../../producer/records/jails/promises.ts'
import { type OperationRecord, operationFromFields } from '../../../producer/records/operations/operation-record.ts'
import { batchFaults } from './faults/batch-faults.ts'
import { deedFaults } from './faults/deed-faults.ts'
import type { Scene } from './play.ts'
import { hostNames } from './schedule.ts'

type Records = { jails: JailRecord[]; operations: OperationRecord[]; leases: Record<string, string> }

/** All that is not as it must be; nothing is the only good answer. */
export type RestFaults = {
  /** What was done, which no time mends. */
  deeds: string[]
  /** How things are. */
  things: string[]
}

/** Looks at everything once it has come to rest. */
export async function checkRest(scene: Scene): Promise<RestFaults> {
  const { fleet } = scene
  const records = await readRecords(scene)
  const deeds = hostNames
    .flatMap((host) =>
      fleet
        .filesOf(host)
        .readDeeds()
        .map((deed) => ({ ...deed, host })),
    )
    .sort((a, b) => a.at - b.at)
  return {
    deeds: deedFaults(deeds, records.operations),
    things: [
      ...verdictFaults(records, scene),
      ...leaseFaults(records, scene),
      ...(await promiseFaults(records, scene)),
      ...(await batchFaults(scene, records.operations)),
      ...hostNames.flatMap((host) => hostFaults(host, records, scene)),
    ],
  }
}

async function readRecords({ fleet: { redis, keys } }: Scene): Promise<Records> {
  const names = await redis.zrange(keys.jails(), '0', '-1')
  const ids = await redis.zrange(keys.operations(), '0', '-1')
  const read = async <T>(all: string[], parse: (fields: Record<string, string>) => T) => {
    const records = await Promise.all(all.map((key) => redis.hgetall(key)))
    return records.filter((fields) => Object.keys(fields).length > 0).map(parse)
  }
  return {
    jails: await read(names.map(keys.jail), jailFromFields),
    operations: await read(ids.map(keys.operation), operationFromFields),
    leases: await redis.hgetall(keys.leases),
  }
}

/** What was accepted and has no verdict; what was made and no caller knows of. */
function verdictFaults({ operations }: Records, { ledger }: Scene): string[] {
  const accepted = ledger.accepted()
  const byId = new Map(operations.map((operation) => [operation.id, operation]))
  return [
    ...accepted.flatMap((id) => {
      const operation = byId.get(id)
      if (!operation) return [`operation ${id} was accepted and is lost`]
      return hasEnded(operation.status)
        ? []
        : [`operation ${id} (${operation.kind} ${operation.jail}) is ${operation.status} for ever`]
    }),
    ...operations
      .filter(({ id, batch }) => !accepted.includes(id) && !(batch !== undefined && ledger.batches().includes(batch)))
      .map(({ id, kind, jail }) => `operation ${id} (${kind} ${jail}) was made for no request or twice for one`),
    ...ledger.asked
      .filter(({ answer }) => answer === undefined || answer.status >= 500)
      .map(({ method, path, answer }) => `${method} ${path} was answered ${answer?.status} ${JSON.stringify(answer?.body)}`),
  ]
}

/** All leases are of jails, except the held addresses of forgotten hosts. */
function leaseFaults({ jails, leases }: Records, { forgotten }: Scene): string[] {
  const holders = new Map(jails.flatMap(({ name, leases: own }) => own.map(([address]) => [address, name] as const)))
  return [
    ...[...holders].flatMap(([address, name]) =>
      leases[address] === name ? [] : [`${address} of jail ${name} is leased to ${leases[address] ?? 'nobody'}`],
    ),
    ...Object.entries(leases).flatMap(([address, holder]) => {
      const isHeld = holder.startsWith('forgotten:') && forgotten.has(holder.slice('forgotten:'.length))
      return holders.get(address) === holder || isHeld ? [] : [`${address} is leased to ${holder}, which does not have it`]
    }),
  ]
}

async function promiseFaults({ jails }: Records, { fleet: { redis, keys } }: Scene): Promise<string[]> {
  const faults = await Promise.all(
    hostNames.map(async (host) => {
      const promised = await redis.hgetall(keys.promised(host))
      const sum = { jails: 0, memory: 0, cpu: 0 }
      for (const jail of jails.filter((each) => each.host === host)) {
        const { memory = 0, cpu = 0 } = Object.fromEntries(promiseOf(jail.limits))
        sum.jails += 1
        sum.memory += memory
        sum.cpu += cpu
      }
      return Object.entries(sum).flatMap(([resource, amount]) =>
        Number(promised[resource] ?? 0) === amount
          ? []
          : [`${host} has promised ${promised[resource] ?? 0} of ${resource}; its jails have ${amount}`],
      )
    }),
  )
  return faults.flat()
}

/** What a host has, and what its journal has, beside the records of its jails. */
function hostFaults(host: string, { jails }: Records, { fleet }: Scene): string[] {
  const files = fleet.filesOf(host)
  const own = new Map(jails.filter((jail) => jail.host === host).map((jail) => [jail.name, jail]))
  const journal = new Map(files.readJournal().map((entry) => [entry.spec.name as string, entry]))
  const has = { roots: namesOf('roots'), networks: namesOf('networks'), jails: namesOf('jails') }

  function namesOf(place: 'roots' | 'networks' | 'jails') {
    return new Map(files.list(place).map((thing) => [thing.name, thing]))
  }

  const names = new Set([...own.keys(), ...journal.keys(), ...has.roots.keys(), ...has.networks.keys(), ...has.jails.keys()])
  const stages = join(fleet.directory, host, 'stages')
  const staged = existsSync(stages) ? readdirSync(stages) : []
  return [
    ...[...names].flatMap(jailFaults).map((fault) => `${host}: ${fault}`),
    ...staged.map((name) => `${host}: stage ${name} is left`),
  ]

  function jailFaults(name: string): string[] {
    const jail = own.get(name)
    const entry = journal.get(name)
    const parts = [has.roots.has(name) && 'root', has.networks.has(name) && 'network', has.jails.has(name) && 'processes']
    const seen = parts.filter(Boolean).join(', ') || 'nothing'
    // A destroy that could not finish says so, and keeps all that it has.
    if (jail?.state === 'destroying') return []
    const wanted = jail?.state === 'running' ? 'root, network, processes' : jail?.state === 'stopped' ? 'root' : 'nothing'
    const faults: string[] = []
    if (seen !== wanted) faults.push(`jail ${name} is ${jail?.state ?? 'unknown'} and has ${seen}`)
    const known = entry ? `${entry.type} ${entry.wanted ?? entry.kind}` : 'nothing'
    const expected = wanted === 'nothing' ? 'nothing' : `jail ${jail?.state}`
    if (known !== expected) faults.push(`jail ${name} is ${jail?.state ?? 'unknown'}; the journal has ${known}`)
    if (!jail || !entry) return faults
    if (entry.spec.provision !== jail.provision) faults.push(`jail ${name} is another one in the journal`)
    if (entry.epoch > jail.epoch) faults.push(`jail ${name} has epoch ${jail.epoch}, in the journal ${entry.epoch}`)
    const address = jail.leases.map(([each, prefix]) => `${each}/${prefix}`).join()
    const network = has.networks.get(name)
    if (network && network.addresses?.join() !== address)
      faults.push(`jail ${name} has ${network.addresses}, leased is ${address}`)
    if (jail.state === 'running' && jail.jid !== has.jails.get(name)?.jid)
      faults.push(`jail ${name} has another jid than its record`)
    return faults
  }
}
