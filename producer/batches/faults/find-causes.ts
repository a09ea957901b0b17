import { createHash } from 'node:crypto'
import type { Cause } from '#shared/batch.ts'
import { defaultHostname } from '#shared/jail.ts'
import { jailOfRow, readRows, type StoredRow } from '../../records/batches/batch-row.ts'
import { operationList } from '../../records/operations/operation-lists.ts'
import type { OperationRecord } from '../../records/operations/operation-record.ts'
import type { Store } from '../../records/store.ts'

/** A row whose operation failed, or that was refused before it had one. */
export type Failure = {
  cause: string
  code: string
  step: string | null
  world: string
  message: string
  host: string | undefined
  hint: string
  operation: OperationRecord | null
  row: number | null
}

const pageSize = 500

/** Yields the failed rows of a batch, page by page. */
export async function* failuresOf(store: Store, batch: string): AsyncGenerator<Failure[]> {
  const { redis, keys, records } = store
  const failed = await redis.zinter(2, operationList({ batch }, keys), operationList({ status: 'failed' }, keys))
  for (let from = 0; from < failed.length; from += pageSize) {
    const operations = await records.operations(failed.slice(from, from + pageSize))
    // One that was retried since the list was read fails no more, and its record has no error.
    yield operations.filter(({ status }) => status === 'failed').map(failureOf)
  }
  for await (const page of redis.hscanStream(keys.batchRefused(batch), { count: pageSize })) {
    const pairs = page as string[]
    const rows = await readRows(store, batch, pairs.filter((_, i) => i % 2 === 0).map(Number))
    yield rows.map((row, i) => refusalOf(row, pairs[2 * i + 1] ?? '{}'))
  }
}

/** Returns failures grouped by what caused them, the most frequent first. */
export async function findCauses(store: Store, batch: string): Promise<Cause[]> {
  const causes = new Map<string, Cause>()
  for await (const page of failuresOf(store, batch))
    for (const failure of page) {
      const { cause: id, code, step, world, message, hint, host, operation } = failure
      const cause = causes.get(id) ?? {
        id,
        code,
        step,
        world,
        message,
        hosts: [],
        count: 0,
        hint,
        sampleOperation: operation?.id ?? null,
      }
      causes.set(id, cause)
      cause.count += 1
      if (host !== undefined && !cause.hosts.includes(host)) cause.hosts.push(host)
    }
  return [...causes.values()].sort((a, b) => b.count - a.count || (a.id < b.id ? -1 : 1))
}

function failureOf(operation: OperationRecord): Failure {
  const { error, host, request, jail } = operation
  const { code = 'unexpected', step = null, hint = '', message = '' } = error ?? {}
  const world = request?.world ?? ''
  const hostname = request?.hostname ?? defaultHostname(jail ?? '')
  return named({ code, step, world, host, hint, operation, row: null }, message, [hostname, jail ?? '', host])
}

function refusalOf(row: StoredRow, text: string): Failure {
  const { code, message, hint } = JSON.parse(text) as { code: string; message: string; hint: string }
  const { name, world } = jailOfRow(row)
  return named({ code, step: null, world, host: undefined, hint, operation: null, row: row.number }, message, [name])
}

function named(failure: Omit<Failure, 'cause' | 'message'>, text: string, names: string[]): Failure {
  const message = fingerprint(text, names)
  const { code, step, world } = failure
  const cause = createHash('sha256')
    .update(JSON.stringify([code, step, world, message]))
    .digest('hex')
    .slice(0, 12)
  return { ...failure, cause, message }
}

const replacements: [RegExp, string][] = [
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<id>'],
  [/\b[0-9a-f]{16,}\b/g, '<hash>'],
  [/\b\d{1,3}(\.\d{1,3}){3}(\/\d+)?\b/g, '<address>'],
  [/\b(?=[0-9a-f]*:)[0-9a-f:]*:[0-9a-f:]+(\/\d+)?\b/gi, '<address>'],
  [/\d+(\.\d+)?/g, '<n>'],
]

/** Returns a message with placeholders for what differs between rows: names, ids, addresses, numbers. */
export function fingerprint(message: string, names: string[]): string {
  // Whole words only: a jail may be called `a`.
  const nameless = names.filter(Boolean).reduce((text, name) => text.replaceAll(wordOf(name), '<name>'), message)
  return replacements.reduce((text, [pattern, by]) => text.replace(pattern, by), nameless)
}

function wordOf(name: string): RegExp {
  return new RegExp(`(?<![A-Za-z0-9])${name.replaceAll(/[.-]/g, '\\$&')}(?![A-Za-z0-9])`, 'g')
}
