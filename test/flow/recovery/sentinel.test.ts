import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Answer } from '../../support/fleets/client.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { whyNoRedisServer } from '../../support/redis/redis-server.ts'
import { type Sentinel, startSentinel } from '../../support/redis/sentinel.ts'
import { until } from '../../support/until.ts'

const wanted = 50
const withinMs = 60_000

describe.skipIf(whyNoRedisServer())('with Sentinel', () => {
  let sentinel: Sentinel
  beforeAll(async () => {
    sentinel = await startSentinel()
  })
  afterAll(() => sentinel.stop())

  test('a request that no replica has is refused, and found by its key once one has it', async () => {
    const fleet = await startFleet({ url: sentinel.url, prefix: '{unsafe}' })
    const replicas = await sentinel.replicas()
    onTestFinished(() => replicas.forEach(({ process }) => void process.kill('SIGCONT')))
    for (const { process } of replicas) process.kill('SIGSTOP')
    const key = { 'idempotency-key': 'order-1' }
    const refused = await fleet.ask('web1', {}, key)
    expect([refused.status, refused.headers.get('retry-after'), refused.body]).toEqual([
      503,
      '2',
      {
        type: 'about:blank',
        title: 'Service Unavailable',
        status: 503,
        code: 'queue_unavailable',
        detail:
          'The request was accepted but is not yet safe: no replica of Redis has it. The same request with its Idempotency-Key will find it.',
        hint: 'Send the same request again after Retry-After; under one Idempotency-Key it is done once.',
      },
    ])
    expect((await fleet.ask('web1', {}, key)).status).toBe(503)
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(200)

    for (const { process } of replicas) process.kill('SIGCONT')
    const answered = await until('a replica to have it', async () => {
      const answer = await fleet.ask('web1', {}, key)
      return answer.status === 202 && answer
    })
    expect(answered.headers.get('idempotency-replayed')).toBe('true')
    expect((await fleet.ended(answered)).status).toBe('succeeded')
    await fleet.stop()
  })

  test(
    'a cancel reaches its worker after the primary has changed places with a replica',
    async () => {
      const fleet = await startFleet({ url: sentinel.url, prefix: '{changed}' })
      await sentinel.failOver()
      fleet.host().before('ensureNetwork', (_jail, signal) => sleep(60_000, undefined, { signal }))
      const asked = await insist(() => fleet.ask('web1', {}, { 'idempotency-key': 'order-1' }))
      await fleet.host().begins('ensureNetwork web1')
      await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
      expect((await fleet.ended(asked)).status).toBe('cancelled')
      await fleet.stop()
    },
    withinMs,
  )

  test(
    'nothing that was accepted is lost with the primary',
    async () => {
      const fleet = await startFleet({ url: sentinel.url, prefix: '{killed}' }, { hosts: ['host1', 'host2'] })
      const refusals: Answer[] = []
      const accepted: Answer[] = []
      const names = Array.from({ length: wanted }, (_, i) => `web${i}`)
      const ask = async (name: string) => {
        accepted.push(await insist(() => fleet.ask(name, {}, { 'idempotency-key': name }), refusals))
        if (accepted.length === wanted / 2) (await sentinel.primary()).process.kill('SIGKILL')
      }
      // Some at once, the rest as those before are answered.
      const rest = [...names]
      const askInTurn = async () => {
        for (let name = rest.shift(); name; name = rest.shift()) await ask(name)
      }
      await Promise.all([askInTurn(), askInTurn(), askInTurn()])

      expect(refusals.length).toBeGreaterThan(0)
      for (const { status, body, headers } of refusals)
        expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'queue_unavailable', '2'])
      expect(new Set(accepted.map(({ body }) => body.operation.id)).size).toBe(wanted)
      const ends = await Promise.all(accepted.map((answer) => fleet.ended(answer, withinMs)))
      expect(ends.filter(({ status }) => status !== 'succeeded')).toEqual([])
      const onHosts = ['host1', 'host2'].map((name) => fleet.host(name))
      expect(onHosts.flatMap((host) => host.state().jails).sort()).toEqual(names.sort())
      expect(new Set(onHosts.flatMap((host) => host.addresses())).size).toBe(wanted)
      await fleet.stop()
    },
    2 * withinMs,
  )
})

/** Asks as a caller should: the same again after each 503. Notes those. */
async function insist(ask: () => Promise<Answer>, refusals: Answer[] = []): Promise<Answer> {
  return until(
    'a yes',
    async () => {
      const answer = await ask()
      if (answer.status === 503) refusals.push(answer)
      return answer.status === 202 && answer
    },
    withinMs,
  )
}
