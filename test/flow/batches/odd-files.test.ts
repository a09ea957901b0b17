import { request } from 'node:http'
import { gzipSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { csv, csvOf, header, ndjson } from '../../support/samples/batch-file.ts'
import { until } from '../../support/until.ts'

describe('rows that ask for one address', () => {
  test('are named with both lines, whatever the address is written as', async ({ fleet }) => {
    const file = 'name,client,world,address\na1,acme,tiny,10.99.0.7\na2,acme,tiny,10.99.0.8\na3,acme,tiny,10.99.0.7/24\n'
    const { status, body } = await fleet.postBatch(csv, file)
    expect([status, body.errors]).toEqual([
      400,
      [{ line: 4, row: 3, field: 'address', message: '10.99.0.7 stands in line 2 already' }],
    ])
    const twice = { name: 'b1', client: 'acme', world: 'tiny', addresses: ['10.99.0.9', '10.99.0.9/24'] }
    const own = await fleet.postBatch(ndjson, JSON.stringify(twice))
    expect([own.status, own.body.errors]).toEqual([
      400,
      [{ line: 1, row: 1, field: 'addresses.1', message: '10.99.0.9 stands in line 1 already' }],
    ])
  })
})

describe('a row of a jail that exists', () => {
  test('is as asked also when the file names some of its limits', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    const file = 'name,client,world,memory\nweb1,acme,tiny,64M\n'
    expect((await fleet.postBatch(csv, file)).body.errors).toBeUndefined()
  })

  test('is refused when that jail failed', async ({ fleet }) => {
    fleet.host().before('ensureRoot', () => {
      throw new ProvostError('command_failed', 'no')
    })
    await fleet.ended(await fleet.ask('web1'))
    const { status, body } = await fleet.postBatch(csv, csvOf(1))
    expect([status, body.errors]).toEqual([400, [{ line: 2, row: 1, field: 'name', message: 'jail web1 exists and is failed' }]])
  })
})

describe('a row that asks for what no host has', () => {
  test('is refused', async ({ fleet }) => {
    const outside = await fleet.postBatch(csv, 'name,client,world,address\nweb1,acme,tiny,192.0.2.7\n')
    expect([outside.status, outside.body.errors]).toEqual([
      400,
      [
        {
          line: 2,
          row: 1,
          field: 'address',
          message: 'no host of the fleet can give out 192.0.2.7, of no pool or excluded from it',
        },
      ],
    ])
    const disk = await fleet.postBatch(csv, 'name,client,world,disk\nweb1,acme,tiny,1G\n')
    expect([disk.status, disk.body.errors]).toEqual([
      400,
      [{ line: 2, row: 1, field: 'disk', message: 'no host of the fleet can hold a limit of disk' }],
    ])
    const gateway = { name: 'web1', client: 'acme', world: 'tiny', host: 'host1', addresses: ['10.99.0.7', '10.99.0.1'] }
    const never = await fleet.postBatch(ndjson, JSON.stringify(gateway))
    expect([never.status, never.body.errors]).toEqual([
      400,
      [
        {
          line: 1,
          row: 1,
          field: 'addresses.1',
          message: 'host host1 cannot give out 10.99.0.1, of no pool or excluded from it',
        },
      ],
    ])
  })
})

describe('a file', () => {
  test('whose header has too many columns is answered with the first thousand faults', async ({ fleet }) => {
    const { status, body } = await fleet.postBatch(csv, `${'x,'.repeat(30_000)}x\na\n`)
    expect([status, body.errors.length, body.more, body.detail.length < 2_000]).toEqual([400, 1_000, 29_004, true])
  })

  test('that is compressed or of a type that is nearly right is refused', async ({ fleet }) => {
    const zipped = await fleet.postBatch(csv, gzipSync(csvOf(10)), '', { 'content-encoding': 'gzip' })
    expect([zipped.status, zipped.body.code]).toEqual([400, 'invalid_request'])
    for (const type of ['text/csv-schema', 'text/csvx', 'application/x-ndjson2']) {
      const answer = await fleet.postBatch(type, csvOf(1))
      expect(answer.status).toBe(400)
    }
    expect((await fleet.postBatch('TEXT/CSV;header=present', csvOf(1))).status).toBe(202)
  })

  test('is read in all the forms that programs write', async ({ fleet }) => {
    for (const [i, text] of [
      '"name","client","world"\r\nNAME,"acme",tiny',
      'name,client,world\nNAME,acme,tiny\r',
      'name , client,world\n  NAME\t,acme , tiny\n\n   \n',
      'world,client,name\ntiny,acme,"NAME"\n\r\n',
    ].entries()) {
      const answer = await fleet.postBatch(csv, text.replaceAll('NAME', `odd${i}`))
      expect([text, answer.status, answer.body.detail]).toEqual([text, 202, undefined])
    }
  })

  test('that Windows calls a workbook is read as what it is', async ({ fleet }) => {
    const type = 'application/vnd.ms-excel'
    expect((await fleet.postBatch(type, 'Name;Client;World\r\nwin1;acme;tiny\r\n;;\r\n')).status).toBe(202)
    const workbook = await fleet.postBatch(type, 'PK\x03\x04')
    expect([workbook.status, workbook.body.hint]).toEqual([
      400,
      'In the spreadsheet program save it as "CSV UTF-8", and send that file.',
    ])
    const other = await fleet.postBatch('text/plain', csvOf(1))
    expect([other.status, other.body.hint]).toEqual([
      400,
      'Send the header "Content-Type: text/csv", or application/x-ndjson or application/json.',
    ])
  })

  test('is told its faults by their cause, with what is meant instead', async ({ fleet }) => {
    const rows = Array.from({ length: 40 }, (_, i) => `web${i},Acme GmbH,tiny\n,,\n`).join('')
    const { status, body } = await fleet.postBatch(csv, `${header}${rows}ok,acme,tiny\nok,acme,tiny\nx,acme,none\n`)
    expect([status, body.more, body.causes]).toEqual([
      400,
      0,
      [
        {
          field: 'client',
          message: 'must be at most 63 of a-z, 0-9 and ._-, the first a letter or a digit',
          value: 'Acme GmbH',
          suggestion: 'acme-gmbh',
          count: 40,
          lines: [2, 4, 6, 8, 10],
        },
        { field: 'name', message: 'stands in an earlier line already', value: 'ok', count: 1, lines: [83] },
        { field: 'world', message: 'no host of the fleet offers this world', value: 'none', count: 1, lines: [84] },
      ],
    ])
    const message = 'no host of the fleet offers world none'
    expect(body.errors[41]).toEqual({ line: 84, row: 43, field: 'world', message })
  })

  test('has its faulty rows as a file to correct, which is accepted once it is', async ({ fleet }) => {
    const file = '\uFEFFWorld;Name;Client\ntiny;web1;acme\ntiny;web2;Größe & Söhne\ntiny;web1;acme\ntiny;web3;acme;x\n'
    const rejects = await fleet.postBatch(csv, file, '/rejects')
    expect([rejects.status, rejects.headers.get('content-type')]).toEqual([200, 'text/csv; charset=utf-8'])
    expect(rejects.text).toBe(
      'fault;World;Name;Client\n' +
        'line 3: client must be at most 63 of a-z, 0-9 and ._-, the first a letter or a digit, like groesse-and-soehne;tiny;web2;Größe & Söhne\n' +
        '"line 4: name web1 stands in line 2 already";tiny;web1;acme\n'.replaceAll('"', '') +
        'line 5: line has 4 cells, the header has 3;tiny;web3;acme;x\n',
    )
    expect((await fleet.call('GET', '/v1/batches')).body.items).toEqual([])
    const accepted = await fleet.postBatch(csv, file, '?skipInvalid=true')
    expect([accepted.status, accepted.body.batch.skipped, accepted.body.causes.length]).toEqual([202, 3, 3])
    const corrected = rejects.text.replace('Größe & Söhne', 'groesse').replace('acme;x', 'acme').replace(';web1;', ';web4;')
    expect((await fleet.postBatch(csv, corrected)).body.batch.counts.queued).toBe(3)
    expect((await fleet.postBatch(csv, csvOf(1, 'good'), '/rejects')).status).toBe(204)
    const lines = await fleet.send('/v1/batches/rejects', {
      method: 'POST',
      headers: { 'content-type': ndjson },
      body: '{"name":"Web","client":"acme","world":"tiny"}\n{\n',
    })
    expect(await lines.text()).toBe(
      '{"name":"Web","client":"acme","world":"tiny","fault":"line 1: name must be at most 30 of a-z, 0-9 and _, the first a letter, like web"}\n{\n',
    )
  })

  test('names clients as people do, beside their ids', async ({ fleet }) => {
    await fleet.postBatch(csv, 'name,client,world,client name\nweb1,acme,tiny,"Größe, ""die"" & Söhne 株式会社"\n')
    await until('the jail', async () => (await fleet.jail('web1'))?.clientName)
    expect((await fleet.jail('web1'))?.clientName).toBe('Größe, "die" & Söhne 株式会社')
    for (const clientName of ['\u001b[2J', 'a\u202eb', '', 'x'.repeat(201)])
      expect([clientName, (await fleet.ask('web2', { clientName })).status]).toEqual([clientName, 400])
  })

  test('that breaks off leaves nothing', async ({ fleet, redis }) => {
    const { redis: connection, keys } = storeOf(redis)
    const sent = request(`${fleet.url}/v1/batches`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.apiKey}`, 'content-type': csv, 'idempotency-key': 'k1' },
    })
    sent.on('error', () => undefined)
    sent.write(csvOf(1_200))
    await until('names to be claimed', async () => (await connection.hlen(keys.claims)) >= 1_000)
    sent.destroy()
    await until('all to be given back', async () => (await connection.hlen(keys.claims)) === 0)
    await until(
      'no trace',
      async () => (await connection.keys(`${redis.prefix.replace(/[[\]?*]/g, '\\$&')}:batch*`)).length === 0,
    )
    expect((await fleet.postBatch(csv, csvOf(1_200), '', { 'idempotency-key': 'k1' })).status).toBe(202)
  })
})

describe('an option', () => {
  test('that is no number is refused', async ({ fleet }) => {
    for (const query of [
      'maxFailureRate=',
      'maxFailures=',
      'maxInFlight=0x10',
      'canary=1e1',
      'canary=%205',
      'maxFailures=-0',
      'canary=1&canary=2',
      'name=',
      'dryRun=',
      'maxInFlight=Infinity',
      'maxFailureRate=NaN',
      'maxInFlight=99999999999',
      'canary=1.5',
      'maxFailureRate=1.1',
    ]) {
      const answer = await fleet.postBatch(csv, csvOf(1), `?dryRun=true&${query}`)
      expect([query, answer.status]).toEqual([query, 400])
    }
    for (const value of [true, null, 'five', [], [5], {}]) {
      const body = { maxFailures: value, jails: [{ name: 'web1', client: 'acme', world: 'tiny' }] }
      const answer = await fleet.call('POST', '/v1/batches?dryRun=true', body)
      expect([value, answer.status]).toEqual([value, 400])
    }
  })
})
