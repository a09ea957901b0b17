import { parse } from 'csv-parse/sync'
import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { csv, csvOf } from '../../support/samples/batch-file.ts'

const messages = ['=1+1', ' =1+1', '\t=1', '\n=1', '\r=1', '+1', '-1', '@SUM(A1)', '＝1', 'no; "such" file,\n=1', 'minus - 1']

describe('a report', () => {
  test('has no cell that a spreadsheet would run, and every word that was said', async ({ fleet, redis }) => {
    const { redis: connection, keys } = storeOf(redis)
    const { id } = (await fleet.postBatch(csv, csvOf(messages.length))).body.batch
    await fleet.batchEnded(id)
    for (const [i, message] of messages.entries()) {
      const operation = await connection.hget(keys.batchOutcomes(id), String(i))
      const { code, hint } = new ProvostError('command_failed', '')
      await connection.hset(keys.operation(operation ?? ''), 'error', JSON.stringify({ code, message, hint, step: null }))
    }
    const { text } = await fleet.call('GET', `/v1/batches/${id}/report.csv`)
    const errors = (parse(text, { columns: true }) as { error: string }[]).map(({ error }) => error)
    expect(errors).toEqual(messages.map((message, i) => (i < 9 ? `'${message}` : message)))
    const { items } = (await fleet.call('GET', `/v1/batches/${id}/report.json`)).body
    expect(items.map(({ error }: any) => error)).toEqual(messages)
  })

  test('says of a row whose operation is no longer kept what can still be known', async ({ fleet, redis }) => {
    const { redis: connection, keys } = storeOf(redis)
    const { id } = (await fleet.postBatch(csv, csvOf(2))).body.batch
    await fleet.batchEnded(id)
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web2'))
    for (const operation of await connection.hvals(keys.batchOutcomes(id))) await connection.del(keys.operation(operation))
    const { items } = (await fleet.call('GET', `/v1/batches/${id}/report.json`)).body
    expect(items.map(({ state, host }: any) => [state, host])).toEqual([
      ['succeeded', 'host1'],
      ['expired', ''],
    ])
  })
})
