import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import type { BatchOptions } from '#shared/batch.ts'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { type Records, toFields } from '../../records/records.ts'
import type { Idempotency, Scripts } from '../../records/scripts.ts'
import { type BatchRecord, newBatch, readBatch } from '../batch-record.ts'
import type { RawRow } from '../files/read-rows.ts'
import { lostToAnother, makeClaims } from './claim-names.ts'
import { type DryRunDeps, type DryRunOfBatch, openDryRun } from './dry-run.ts'
import { type Fault, type Faults, faultyRows, makeFaults } from './faults.ts'
import { openStage, type Stage } from './stage-rows.ts'
import { type BatchForm, validateRows } from './validate-rows.ts'

export type AskedBatch = {
  form: BatchForm
  rows: AsyncIterable<RawRow>
  options: BatchOptions
  /** Whether the rows that are not right are left out, rather than all refused. */
  skipInvalid: boolean
}

/** `skipped`: the first of what was wrong with rows that were left out; not told again in a replay. */
export type AcceptedBatch = { batch: Omit<BatchRecord, 'revision'>; skipped: Fault[]; replayed: boolean }

export type AcceptBatchDeps = DryRunDeps & {
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
  log: Logger
  fleet?(): string
}

export type AcceptBatch = ReturnType<typeof makeAcceptBatch>

/** Accepts batches whole or not at all: rows are put aside as they are read, and one step at the end makes them a batch. */
export function makeAcceptBatch(deps: AcceptBatchDeps) {
  const { redis, keys, scripts, hosts, fleet, log } = deps
  const claims = makeClaims(deps)

  /**
   * @param idempotencyOf asked once all is read, since it stands for what was.
   * @throws ProvostError `invalid_request` naming the rows at fault, `too_large`, `idempotency_key_reused`, `queue_unavailable`.
   */
  async function accept(asked: AskedBatch, idempotencyOf: () => Idempotency | undefined): Promise<AcceptedBatch> {
    const id = uuid()
    const faults = makeFaults()
    const stage = await openStage(id, deps)
    let isAccepted = false
    try {
      await stageRows(id, asked, stage, faults)
      const idempotency = idempotencyOf()
      const known = idempotency && (await knownBatch(idempotency))
      if (known) return known
      if (isUnfit(asked, faults, stage.rows())) throw faultyRows(faults)
      const batch = newBatch(id, asked.options, { rows: stage.rows(), skipped: faults.rows() }, new Date())
      const answer = await commit(batch, idempotency)
      if (answer) return answer
      isAccepted = true
      return { batch, skipped: faults.shown, replayed: false }
    } finally {
      if (!isAccepted) await discard(id, stage)
    }
  }

  async function stageRows(id: string, { form, rows, skipInvalid }: AskedBatch, stage: Stage, faults: Faults): Promise<void> {
    for await (const page of validateRows(rows, form, hosts(), faults)) {
      const isRefused = faults.rows() > 0 && !skipInvalid
      const named = await claims.claim(id, page, faults, isRefused)
      if (!isRefused) await stage.add(named)
    }
    await stage.written()
  }

  /** Gives an answer of before, if there is one after all. */
  async function commit(batch: AcceptedBatch['batch'], idempotency: Idempotency | undefined): Promise<AcceptedBatch | undefined> {
    const { id } = batch
    const key = keys.batch(id)
    const committed = await scripts.commit({
      idempotency: idempotency && { ...idempotency, operation: id },
      unchanged: [[keys.batchMark(id), '1'], ...(fleet ? [[keys.fleet, fleet()] as [string, string]] : [])],
      commands: [
        ['HSET', key, ...toFields(batch)],
        ['ZADD', keys.batches(), '0', id],
        ['ZADD', keys.batches('open'), '0', id],
        ['PERSIST', keys.batchRows(id)],
        ['DEL', keys.batchMark(id)],
      ],
      events: [['batch', id, key]],
    })
    if (committed.type === 'done') return undefined
    if (committed.type === 'replayed') return replay(committed.operation)
    throw committed.type === 'reused' ? reused() : lostToAnother()
  }

  async function knownBatch(idempotency: Idempotency): Promise<AcceptedBatch | undefined> {
    const [fingerprint, id] = await redis.hmget(idempotency.key, 'fingerprint', 'operation')
    if (!id) return undefined
    if (fingerprint !== idempotency.fingerprint) throw reused()
    return replay(id)
  }

  async function replay(id: string): Promise<AcceptedBatch> {
    const batch = await readBatch(redis, keys, id)
    if (!batch) throw new ProvostError('not_found', `There is no batch ${id}.`)
    return { batch, skipped: [], replayed: true }
  }

  /** What is not cleared away because Redis is away expires, or counts for nothing. */
  async function discard(id: string, stage: Stage): Promise<void> {
    const cleared = stage.remove().then((isRemoved) => (isRemoved ? claims.giveBack(id, stage.names()) : undefined))
    await cleared.catch((error) => log.warn({ err: error.message, batch: id }, 'what was put aside of a batch is left'))
  }

  return {
    accept,

    /** What would become of the rows now. Writes nothing. @throws ProvostError as `accept`. */
    async tryOut(asked: AskedBatch): Promise<DryRunOfBatch & { skipped: Fault[] }> {
      const faults = makeFaults()
      const dryRun = openDryRun(deps)
      for await (const page of validateRows(asked.rows, asked.form, hosts(), faults)) {
        const named = await claims.claim('', page, faults, true)
        if (faults.rows() === 0 || asked.skipInvalid) await dryRun.place(named)
      }
      if (isUnfit(asked, faults, dryRun.rows())) throw faultyRows(faults)
      return { ...(await dryRun.result(asked.options)), skipped: faults.shown }
    },
  }
}

/** Whether rows are wrong that are not to be left out, or none is left. */
function isUnfit({ skipInvalid }: AskedBatch, faults: Faults, rowsLeft: number): boolean {
  return faults.rows() > 0 && (!skipInvalid || rowsLeft === 0)
}

function reused(): ProvostError {
  return new ProvostError('idempotency_key_reused', 'This Idempotency-Key stands for another request.')
}
