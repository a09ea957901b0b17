import { describe, expect, onTestFinished } from 'vitest'
import { openBatch } from '../../support/fleets/ask-in-batch.ts'
import type { Content } from '../../support/fleets/client.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { type TestRedis, test as withRedis } from '../../support/redis/redis-test.ts'
import { csv, csvOf, header, ndjson } from '../../support/samples/batch-file.ts'
import { until } from '../../support/until.ts'

/** A host whose only slot is taken: what a batch asks for waits there. */
async function fullFleet(redis: TestRedis): Promise<Fleet> {
  const fleet = await startFleet(redis, { capacity: { jails: 1 } })
  onTestFinished(() => fleet.stop())
  await fleet.ended(await fleet.ask('only'))
  return fleet
}

const rowsOf = async (at: TestRedis, id: string) => {
  const { redis, keys } = storeOf(at)
  return (await redis.lrange(keys.batchRows(id), 0, -1)).map((text) => JSON.parse(text))
}

/** Everything of batches that Redis has. */
async function tracesOf(at: TestRedis): Promise<unknown[]> {
  const { redis, keys } = storeOf(at)
  return [
    await redis.keys(`${escaped(at.prefix)}:batch*`),
    await redis.hgetall(keys.claims),
    await redis.zcard(keys.jails()),
    await redis.keys(`${escaped(at.prefix)}:idempotency*`),
  ]
}
const escaped = (prefix: string) => prefix.replace(/[[\]?*]/g, '\\$&')
const noTraces = [[], {}, 0, []]

describe('a batch', () => {
  test('is accepted alike in every form', async ({ fleet, redis }) => {
    const limits = { memory: 512 * 1024 ** 2, cpu: 0.5, processes: 50 }
    const asked = [
      { name: 'web1', client: 'acme', world: 'tiny', hostname: 'www.acme.example', host: 'host1', limits },
      { name: 'web2', client: 'b.inc', world: 'tiny', addresses: ['10.99.0.7', '10.99.0.8/24'] },
    ]
    const columns = 'name,client,world,hostname,host,address,memory,cpu,processes,disk'
    const lines = [
      columns,
      'web1,acme,tiny,"www.acme.example",host1,,512M,0.5,50,',
      '',
      ' web2 ,"b.inc",tiny,,,10.99.0.7; 10.99.0.8/24,,,,',
    ]
    const options = { name: 'spring', maxInFlight: 7, canary: 1, maxFailures: 3, maxFailureRate: 0.5 }
    const query = '?name=spring&maxInFlight=7&canary=1&maxFailures=3&maxFailureRate=0.5'
    const byCsv = await fleet.postBatch(`${csv}; charset=utf-8`, `\uFEFF${lines.join('\r\n')}`, query)
    const { id, createdAt } = byCsv.body.batch
    expect([byCsv.status, byCsv.headers.get('location'), byCsv.body]).toEqual([
      202,
      `/v1/batches/${id}`,
      {
        batch: {
          id,
          ...options,
          status: 'running',
          counts: { queued: 2, running: 0, succeeded: 0, failed: 0, cancelled: 0 },
          skipped: 0,
          causes: [],
          createdAt,
          finishedAt: null,
        },
      },
    ])
    expect(await rowsOf(redis, id)).toEqual([
      { line: 2, ask: asked[0] },
      { line: 4, ask: asked[1] },
    ])

    const other = (ask: { name: string }) => ({ ...ask, name: `${ask.name}b` })
    const byLines = await fleet.postBatch(ndjson, asked.map((ask) => `${JSON.stringify(other(ask))}\n`).join('\n'))
    const byBody = await fleet.call('POST', '/v1/batches', { jails: asked.map(other).map(other), ...options })
    expect([byLines.status, byBody.status]).toEqual([202, 202])
    expect((await rowsOf(redis, byLines.body.batch.id)).map(({ line, ask }) => [line, ask])).toEqual([
      [1, other(asked[0] as never)],
      [3, { ...asked[1], name: 'web2b' }],
    ])
    expect((await rowsOf(redis, byBody.body.batch.id)).map(({ line, ask }) => [line, ask.name])).toEqual([
      [1, 'web1bb'],
      [2, 'web2bb'],
    ])
    const { name, maxInFlight, canary } = byLines.body.batch
    expect([name, maxInFlight, canary]).toEqual([byLines.body.batch.id, 50, undefined])
  })

  test('with a key is accepted once, also when the same file comes twice at a time', async ({ fleet, redis }) => {
    const headers = { 'idempotency-key': 'migration-1' }
    const send = (body: string, query = '') => fleet.postBatch(csv, body, query, headers)
    const answers = await Promise.all([send(csvOf(2_000)), send(csvOf(2_000))])
    const accepted = answers.filter(({ status }) => status === 202)
    // Which of two that read at once is first is open; the other one is asked to come again.
    expect(answers.map(({ status }) => status).sort()).toEqual(accepted.length === 2 ? [202, 202] : [202, 503])
    const { id } = accepted[0]?.body.batch ?? {}
    const again = await send(csvOf(2_000))
    expect([again.status, again.body.batch.id, again.headers.get('idempotency-replayed')]).toEqual([202, id, 'true'])
    for (const other of [
      await send(csvOf(1_999)),
      await send(csvOf(2_000), '?maxInFlight=7'),
      await send(`${header}web1,a,nix\n`),
    ])
      expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused'])
    const { redis: connection, keys } = storeOf(redis)
    expect(await connection.zrange(keys.batches(), 0, '-1')).toEqual([id])
    expect(await connection.exists(keys.batchMark(id))).toBe(0)
    expect(await connection.ttl(keys.batchRows(id))).toBe(-1)
  })

  test('whose rows are wrong leaves them out when asked to', async ({ fleet, redis }) => {
    const file = `${csvOf(2)}Web3,acme,tiny\nweb1,acme,tiny\nweb4,acme,nix\nweb5,acme,tiny\n`
    const answer = await fleet.postBatch(csv, file, '?skipInvalid=true')
    expect([answer.status, answer.body.batch.skipped, answer.body.skipped]).toEqual([
      202,
      3,
      [
        { line: 4, row: 3, field: 'name', message: 'must be at most 30 of a-z, 0-9 and _, the first a letter' },
        { line: 5, row: 4, field: 'name', message: 'web1 stands in line 2 already' },
        { line: 6, row: 5, field: 'world', message: 'no host of the fleet offers world nix' },
      ],
    ])
    const names = (await rowsOf(redis, answer.body.batch.id)).map(({ ask }) => ask.name)
    expect(names).toEqual(['web1', 'web2', 'web5'])
    const none = await fleet.postBatch(csv, `${header}Web3,acme,tiny\n`, '?skipInvalid=true')
    expect([none.status, none.body.errors.length]).toEqual([400, 1])
  })

  withRedis('of a jail that exists is accepted when it is as asked, and refused when not', async ({ redis }) => {
    const fleet = await fullFleet(redis)
    const as = (more: object) => fleet.postBatch(ndjson, JSON.stringify({ name: 'only', client: 'acme', world: 'tiny', ...more }))
    const refused = await as({ client: 'other' })
    expect([refused.status, refused.body.errors]).toEqual([
      400,
      [{ line: 1, row: 1, field: 'name', message: 'jail only exists and is not as asked' }],
    ])
    expect([(await as({ host: 'host1' })).status, (await as({ limits: { memory: '64M' } })).status]).toEqual([202, 202])
  })
})

describe('the name of a row', () => {
  withRedis('is had by nobody else once its batch is accepted, and is free again once its jail is made', async ({ redis }) => {
    const fleet = await fullFleet(redis)
    const { id } = (await fleet.postBatch(csv, csvOf(2))).body.batch
    const taken = { code: 'name_taken', detail: `Batch ${id} has claimed the name web1.` }
    expect((await fleet.ask('web1')).body).toMatchObject({ status: 409, ...taken })
    expect(
      (await fleet.call('POST', '/v1/jails?dryRun=true', { name: 'web1', client: 'acme', world: 'tiny' })).body.reason,
    ).toEqual(taken)
    const second = await fleet.postBatch(csv, csvOf(1))
    expect([second.status, second.body.errors]).toEqual([
      400,
      [{ line: 2, row: 1, field: 'name', message: `batch ${id} has claimed web1` }],
    ])

    const { redis: connection, keys } = storeOf(redis)
    await connection.hset(keys.claims, 'web9', 'batch-of-a-test')
    await connection.hset(keys.batch('batch-of-a-test'), 'id', 'batch-of-a-test')
    const batch = await openBatch(redis)
    onTestFinished(() => batch.close())
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/only'))
    await batch.ask('web9')
    expect(await connection.hexists(keys.claims, 'web9')).toBe(0)
  })

  withRedis('that a batch without a record has claimed is free', async ({ redis }) => {
    const fleet = await fullFleet(redis)
    const { redis: connection, keys } = storeOf(redis)
    await connection.hset(keys.claims, 'web1', 'killed', 'web3', 'killed')
    await connection.hset(keys.batchMark('killed'), 'names', 'claimed')
    const { status, body } = await fleet.postBatch(csv, csvOf(2))
    expect([status, await connection.hget(keys.claims, 'web1')]).toEqual([202, body.batch.id])
    // It has lost a name, so it cannot be accepted any more.
    expect(await connection.exists(keys.batchMark('killed'))).toBe(0)
    expect(
      (await fleet.call('POST', '/v1/jails?dryRun=true', { name: 'web3', client: 'acme', world: 'tiny' })).body.reason.code,
    ).toBe('no_capacity')
  })

  test('is had by one only of files that come at a time', async ({ fleet, redis }) => {
    const files = [1, 2, 3, 4].map((first) => csvOf(1_500).replace(/\n.*\n/, `\nfirst${first},acme,tiny\n`))
    const answers = await Promise.all(files.map((file) => fleet.postBatch(csv, file)))
    expect(answers.filter(({ status }) => status === 202).length).toBe(1)
    for (const { status } of answers) expect([202, 400, 503]).toContain(status)
    const { redis: connection, keys } = storeOf(redis)
    expect(await connection.zcard(keys.batches())).toBe(1)
    const left = await connection.keys(`${escaped(redis.prefix)}:batch*:rows`)
    expect(left).toEqual([keys.batchRows(answers.find(({ status }) => status === 202)?.body.batch.id)])
  })

  test('is lost to a file that came later and was accepted sooner', async ({ fleet, redis }) => {
    const { redis: connection, keys } = storeOf(redis)
    const gate = makeGate()
    async function* slowly() {
      for (let i = 1; i <= 1_000; i += 1) yield Buffer.from(row({ name: `web${i}` }))
      await gate.wait()
    }
    const slow = fleet.postBatch(ndjson, slowly())
    await until('all its names to be claimed', async () => (await connection.hlen(keys.claims)) === 1_000)
    const quick = await fleet.postBatch(csv, csvOf(1))
    gate.open()
    expect([quick.status, (await slow).status]).toEqual([202, 503])
    expect(await connection.hgetall(keys.claims)).toEqual({ web1: quick.body.batch.id })
  })
})

/** More than should be in memory, sent as it is asked for. */
async function* bytesOf(megabytes: number, head = ''): AsyncGenerator<Uint8Array> {
  yield Buffer.from(head)
  for (let i = 0; i < megabytes; i += 1) yield Buffer.alloc(1024 ** 2, 'x')
}

async function* linesOf(megabytes: number): AsyncGenerator<Uint8Array> {
  const line = `${JSON.stringify({ name: 'Web', client: 'acme', world: 'tiny' })}${' '.repeat(60_000)}\n`
  for (let sent = 0; sent < megabytes * 1024 ** 2; sent += line.length) yield Buffer.from(line)
}

const row = (change: object) => `${JSON.stringify({ name: 'web1', client: 'acme', world: 'tiny', ...change })}\n`
const many = (lines: number) => header + 'web1,acme,tiny\n'.repeat(lines)

describe('a file that is not right', () => {
  const cases: [what: string, type: string, body: Content, status: number, first: object][] = [
    ['empty CSV', csv, '', 400, { line: 1, field: 'file', message: 'is empty' }],
    ['empty NDJSON', ndjson, '\n\n', 400, { line: 1, field: 'file', message: 'is empty' }],
    ['a header only', csv, header, 400, { line: 1, field: 'file', message: 'has a header only' }],
    ['a missing column', csv, 'name,client\nweb1,acme\n', 400, { line: 1, field: 'world', message: 'is missing in the header' }],
    [
      'an unknown column',
      csv,
      'name,client,world,ip\nw,a,t,1\n',
      400,
      { line: 1, field: 'ip', message: 'is no column of a batch' },
    ],
    [
      'a column twice',
      csv,
      'name,client,world,name\nw,a,t,w\n',
      400,
      { line: 1, field: 'name', message: 'stands twice in the header' },
    ],
    [
      'too few cells',
      csv,
      `${header}web1,acme\n`,
      400,
      { line: 2, row: 1, field: 'line', message: 'has 2 cells, the header has 3' },
    ],
    [
      'too many cells',
      csv,
      `${header}\nw1,a,tiny,x\n`,
      400,
      { line: 3, row: 1, field: 'line', message: 'has 4 cells, the header has 3' },
    ],
    ['an open quote', csv, `${header}"web1,acme,tiny\n`, 400, { line: 2, field: 'line' }],
    ['binary', csv, Buffer.from([0x1f, 0x8b, 0, 1, 2]), 400, { line: 1, field: 'line', message: 'is not text in UTF-8' }],
    [
      'another encoding',
      ndjson,
      Buffer.from(`${row({})}\xe9\n`, 'latin1'),
      400,
      { line: 2, field: 'line', message: 'is not text in UTF-8' },
    ],
    ['no JSON', ndjson, `${row({})}{"name"\n`, 400, { line: 2, row: 2, field: 'line' }],
    ['no object', ndjson, '[]\n', 400, { line: 1, row: 1, field: 'row' }],
    ['an unknown field', ndjson, row({ ip: '1' }), 400, { line: 1, row: 1, field: 'ip', message: 'is not known' }],
    [
      'a cell that is not right',
      csv,
      'name,client,world,memory\nweb1,acme,tiny,2M\n',
      400,
      { line: 2, row: 1, field: 'memory', message: 'must be at least 4M' },
    ],
    ['no client', csv, `${header}web1,,tiny\n`, 400, { line: 2, row: 1, field: 'client', message: 'is required' }],
    [
      'an address that is none',
      csv,
      'name,client,world,address\nweb1,acme,tiny,10.0.0\n',
      400,
      { line: 2, row: 1, field: 'address' },
    ],
    ['a name twice', csv, many(2), 400, { line: 3, row: 2, field: 'name', message: 'web1 stands in line 2 already' }],
    [
      'an unknown host',
      ndjson,
      row({ host: 'mars' }),
      400,
      { line: 1, row: 1, field: 'host', message: 'no host of the fleet is called mars' },
    ],
    [
      'an unknown world',
      ndjson,
      row({ world: 'nix' }),
      400,
      { line: 1, row: 1, field: 'world', message: 'no host of the fleet offers world nix' },
    ],
    ['a long line', csv, bytesOf(200, header), 413, { line: 2, field: 'line', message: 'is longer than 64 KiB' }],
    [
      'an open quote',
      csv,
      `${header}"${'a\n'.repeat(40_000)}`,
      400,
      { line: 2, field: 'line', message: 'opens a quote that is not closed' },
    ],
    ['too many bytes', ndjson, linesOf(66), 413, {}],
    ['too many rows', csv, many(100_001), 413, {}],
    ['no row in a body', 'application/json', '{"jails": []}', 400, { field: 'jails' }],
    [
      'a wrong row in a body',
      'application/json',
      `{"jails": [${row({})}, ${row({})}]}`,
      400,
      { line: 2, row: 2, field: 'name', message: 'web1 stands in row 1 already' },
    ],
    ['no body', 'application/json', '', 400, { field: 'body', message: 'is required' }],
    ['another kind', 'text/plain', 'web1', 400, { field: 'body' }],
  ]

  test('is refused with what is wrong and where, and nothing has happened', async ({ fleet, redis }) => {
    for (const [what, type, body, status, first] of cases) {
      const answer = await fleet.postBatch(type, body, '', { 'idempotency-key': 'one-for-all' })
      const code = status === 413 ? 'too_large' : 'invalid_request'
      expect([what, answer.status, answer.body.code, answer.headers.get('content-type')], answer.body.detail).toEqual([
        what,
        status,
        code,
        'application/problem+json',
      ])
      expect([what, answer.body.errors?.[0] ?? {}]).toEqual([what, expect.objectContaining(first)])
      expect([what, await tracesOf(redis)]).toEqual([what, noTraces])
    }
  })

  test('names the first thousand faults and how many more there are', async ({ fleet }) => {
    const { body } = await fleet.postBatch(csv, many(1_502))
    expect([body.errors.length, body.more, body.errors.at(-1).line, body.detail]).toEqual([
      1_000,
      501,
      1_002,
      '1501 rows are not right; the first: line 3, name web1 stands in line 2 already. Nothing was accepted.',
    ])
  })

  test('is refused for options that are not right or stand in the wrong place', async ({ fleet }) => {
    const queries = [
      ['?maxInFlight=0', csv],
      ['?canary=x', csv],
      ['?dryRun=yes', csv],
      ['?speed=1', csv],
      ['?maxInFlight=7', 'application/json'],
    ] as const
    for (const [query, type] of queries) {
      const answer = await fleet.postBatch(type, type === csv ? csvOf(1) : `{"jails": [${row({})}]}`, query)
      expect([query, answer.status, answer.body.errors.map((error: any) => error.field)]).toEqual([
        query,
        400,
        [query.slice(1).split('=')[0]],
      ])
    }
  })
})

describe('a dry run', () => {
  withRedis('says where each row would go and which fit, and writes nothing', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], capacity: { jails: 100 } })
    onTestFinished(() => fleet.stop())
    await fleet.ended(await fleet.ask('there', { host: 'host1' }))
    const answer = await fleet.postBatch(csv, `${csvOf(250)}there,acme,tiny\n`, '?dryRun=true')
    expect(answer.status).toBe(200)
    const { rows, more, hosts, fits } = answer.body
    expect({ more, hosts, fits }).toEqual({ more: 0, hosts: { host1: 99, host2: 100 }, fits: false })
    expect(rows.filter(({ host }: any) => host).length).toBe(200)
    expect([rows[0].line, rows[0].name]).toEqual([2, 'web1'])
    expect(rows[249]).toEqual({
      line: 251,
      name: 'web250',
      reason: 'No host can take the jail: host host1 has no room left for a jail; host host2 has no room left for a jail.',
    })
    expect(rows[250]).toEqual({ line: 252, name: 'there', host: 'host1', reason: 'the jail exists as asked' })
    expect((await tracesOf(redis)).slice(0, 2)).toEqual([[], {}])
  })

  withRedis('asks hosts only once for what none of them has room for', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], capacity: { jails: 1 } })
    onTestFinished(() => fleet.stop())
    const { redis: connection } = storeOf(redis)
    const scripts = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await connection.info('commandstats'))?.[1])
    const before = await scripts()
    const { hosts, fits, rows } = (await fleet.postBatch(csv, csvOf(900), '?dryRun=true')).body
    expect([hosts, fits, rows.length]).toEqual([{ host1: 1, host2: 1 }, false, 900])
    expect(rows[899].reason).toBe(rows[2].reason)
    expect((await scripts()) - before).toBeLessThan(100)
  })

  withRedis('counts the addresses that are free, and those that are asked for', async ({ redis }) => {
    const pools = [{ name: 'main', cidr: '10.98.0.0/28', gateway: '10.98.0.1', exclude: ['10.98.0.10-10.98.0.14'] }]
    const fleet = await startFleet(redis, { pools })
    onTestFinished(() => fleet.stop())
    await fleet.ended(await fleet.ask('there'))
    const leased = (await fleet.jail('there'))?.addresses[0]?.split('/')[0]
    const { hosts, rows } = (await fleet.postBatch(csv, csvOf(12), '?dryRun=true')).body
    // 16 without network, broadcast, gateway, five excluded and the one leased.
    expect([hosts, rows[7].reason]).toEqual([
      { host1: 7 },
      'No host can take the jail: host host1 has no free address in pool 10.98.0.0/28.',
    ])
    const asked = `name,client,world,address\na1,acme,tiny,${leased}\na2,acme,tiny,10.98.0.9\n`
    const tried = (await fleet.postBatch(csv, asked, '?dryRun=true')).body
    expect(tried.rows.map(({ host, reason }: any) => host ?? reason)).toEqual([
      `No host can take the jail: host host1 has leased ${leased} to another jail.`,
      'host1',
    ])
  })

  test('shows a thousand rows, says how long all would take, and refuses what is wrong', async ({ fleet, redis }) => {
    await fleet.ended(await fleet.ask('there'))
    const { redis: connection, keys } = storeOf(redis)
    const ms = (p50: number) => ({ p50, p90: 2 * p50 })
    await connection.set(keys.hostTimings('host1'), JSON.stringify({ tiny: { provision: ms(300), 'clone-root': ms(100) } }))
    const { body } = await fleet.postBatch(csv, csvOf(200), '?dryRun=true')
    expect(body.eta).toEqual({ p50: 20.3, p90: 40.6 })
    const large = (await fleet.postBatch(csv, csvOf(1_200), '?dryRun=true')).body
    expect([large.rows.length, large.more, large.fits]).toEqual([1_000, 200, false])
    const wrong = await fleet.postBatch(csv, `${csvOf(1)}web1,acme,tiny\n`, '?dryRun=true')
    expect([wrong.status, wrong.body.errors.length]).toEqual([400, 1])
    const skipping = await fleet.postBatch(csv, `${csvOf(1)}web1,acme,tiny\n`, '?dryRun=true&skipInvalid=true')
    expect([skipping.status, skipping.body.rows.length, skipping.body.skipped.length]).toEqual([200, 1, 1])
  })
})
