import { v7 as uuid } from 'uuid'
import { ProvostError } from '#shared/errors.ts'
import { type CreateJail, defaultHostname, type Jail } from '#shared/jail.ts'
import type { RedisKeys } from '#shared/keys.ts'
import type { Operation } from '#shared/operation.ts'
import { type Candidate, chooseHosts, type PlacementHost, type Refusal, refusalError } from './placement/choose-host.ts'
import { leaseChoices } from './placement/lease-choices.ts'
import { type JailRecord, jailFromFields, type OperationRecord, operationFromFields, toFields } from './records.ts'
import type { Idempotency, Scripts } from './scripts.ts'

export type Accepted = { jail: JailRecord; operation: OperationRecord }
export type AdmitAnswer = { type: 'admitted'; accepted: Accepted } | { type: 'replayed'; operation: string }

type Deps = { scripts: Scripts; keys: RedisKeys; hosts(): PlacementHost[]; placement: 'spread' | 'pack' }

// One call of the script holds Redis for all of them.
const candidatesAtOnce = 50

/**
 * Admits a jail: claims its name, leases its addresses, promises its limits and writes its records, in one atomic script;
 * or does none of it. `again`: a cancelled provision that is admitted once more under its own id.
 *
 * @throws ProvostError why not: `name_taken`, `no_capacity`, `no_free_address`, …, `idempotency_key_reused`.
 */
export async function admitJail(
  ask: CreateJail,
  idempotency: Idempotency | undefined,
  deps: Deps,
  again?: OperationRecord,
): Promise<AdmitAnswer> {
  const { candidates, refusals, failure } = place(ask, deps)
  const input = { ...recordsOf(ask, deps.keys, again), idempotency }
  for (let first = 0; ; first += candidatesAtOnce) {
    const group = candidates.slice(first, first + candidatesAtOnce)
    const [answer, ...rest] = await deps.scripts.admit({
      ...input,
      candidates: group.map((candidate) => toInput(candidate, deps.keys)),
    })
    switch (answer) {
      case 'admitted':
        return { type: 'admitted', accepted: acceptedOf(input, rest, group) }
      case 'replayed':
        return { type: 'replayed', operation: rest[0] ?? '' }
      case 'reused':
        throw new ProvostError('idempotency_key_reused', 'This Idempotency-Key stands for another request.')
      case 'taken':
        throw new ProvostError('name_taken', `A jail called ${ask.name} exists; its last operation is ${rest[0]}.`)
      case 'changed':
        throw new ProvostError('not_retryable', 'The operation has just been changed by somebody else.')
    }
    if (failure) throw failure
    const refused = JSON.parse(rest[0] ?? '[]') as [string, Refusal['code'], string][]
    refusals.push(...refused.map(([host, code, detail]) => ({ host, code, detail })))
    if (first + candidatesAtOnce >= candidates.length) throw refusalError(refusals)
  }
}

/** The placement; a refusal of it waits until the script has said that the request is not a replay. */
function place(ask: CreateJail, { hosts, placement }: Deps) {
  try {
    return { ...chooseHosts(ask, hosts(), placement), failure: undefined }
  } catch (error) {
    if (!(error instanceof ProvostError)) throw error
    return { candidates: [], refusals: [], failure: error }
  }
}

function recordsOf(ask: CreateJail, keys: RedisKeys, again?: OperationRecord) {
  const now = new Date()
  const at = now.toISOString()
  const operation = again?.id ?? uuid()
  const jailFields: Omit<
    Record<keyof JailRecord, unknown>,
    'host' | 'leases' | 'limits' | 'worldDigest' | 'epoch' | 'revision'
  > = {
    name: ask.name,
    provision: operation,
    client: ask.client,
    hostname: ask.hostname ?? defaultHostname(ask.name),
    world: ask.world,
    command: ask.command,
    labels: ask.labels ?? {},
    state: 'queued',
    jid: null,
    isolation: undefined,
    lastOperation: operation,
    createdAt: at,
    updatedAt: at,
  }
  const operationFields: Omit<Operation, 'eta' | 'batch'> & Partial<OperationRecord> = {
    id: operation,
    kind: 'provision',
    jail: ask.name,
    status: 'queued',
    percent: 0,
    step: null,
    steps: [],
    attempt: (again?.attempt ?? 0) + 1,
    createdAt: again?.createdAt ?? at,
    startedAt: null,
    finishedAt: null,
    sequence: 0,
    wakeup: (again?.wakeup ?? 0) + 1,
    request: ask,
  }
  return {
    name: ask.name,
    now: now.getTime(),
    operationUnchanged: again?.revision,
    jail: {
      kind: 'jail',
      key: keys.jail(ask.name),
      member: ask.name,
      fields: toFields(jailFields),
      indexes: [keys.jails(), keys.jails('client', ask.client), keys.jails('state', 'queued')],
    },
    operation: {
      kind: 'operation',
      key: keys.operation(operation),
      member: operation,
      fields: toFields(operationFields),
      indexes: [keys.operations(), keys.operations('jail', ask.name), keys.operations('status', 'queued')],
    },
    ...(again ? { drop: { key: keys.operation(operation), index: keys.operations('status', again.status) } } : {}),
  }
}

function toInput({ host, limits, worldDigest, wanted }: Candidate, keys: RedisKeys): object {
  const { jails, memory, cpu, disk } = host.capacity
  return {
    host: host.id,
    alive: keys.hostAlive(host.id),
    promised: keys.promised(host.id),
    hostIndex: keys.jails('host', host.id),
    fields: candidateFields(limits, worldDigest),
    capacity: { jails, memory, cpu: Math.round(cpu * 1000), ...(disk === undefined ? {} : { disk }) },
    ask: promiseOf(limits),
    wanted: wanted.map((choices) => leaseChoices(choices, keys)),
  }
}

const candidateFields = (limits: Jail['limits'], worldDigest: string) => toFields({ limits, worldDigest })

/** What a jail counts for in its host's ledger; cpu in thousandths of a core. */
export function promiseOf({ memory, cpu, disk }: Jail['limits']) {
  return { jails: 1, memory, cpu: Math.round(cpu * 1000), ...(disk === undefined ? {} : { disk }) }
}

function acceptedOf(input: ReturnType<typeof recordsOf>, answer: string[], candidates: Candidate[]): Accepted {
  const [host = '', leases = '', epoch = '', jailRevision = '', operationRevision = ''] = answer
  const chosen = candidates.find((candidate) => candidate.host.id === host)
  const onHost = ['host', host, 'epoch', String(epoch)]
  const jail = [...input.jail.fields, ...onHost, 'revision', String(jailRevision), 'leases', leases]
  if (chosen) jail.push(...candidateFields(chosen.limits, chosen.worldDigest))
  const operation = [...input.operation.fields, ...onHost, 'revision', String(operationRevision)]
  return { jail: jailFromFields(fromPairs(jail)), operation: operationFromFields(fromPairs(operation)) }
}

function fromPairs(pairs: string[]): Record<string, string> {
  return Object.fromEntries(Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i], pairs[2 * i + 1]]))
}
