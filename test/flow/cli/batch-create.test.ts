import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Asked, pretendProducer, type Reply } from '../../support/fleets/pretend-producer.ts'
import { makeBatch, makeCause } from '../../support/samples/batch.ts'

const { provost, asked } = pretendProducer()
const directory = mkdtempSync(join(tmpdir(), 'provost-batch-'))
afterAll(() => rm(directory, { recursive: true }))

const csv = 'name,client,world\nweb1,acme,busybox\nweb2,acme,busybox\n'
const file = (name: string) => {
  const path = join(directory, name)
  writeFileSync(path, csv)
  return path
}
const clients = file('clients.csv')

const ok = (body: unknown): Reply => ({ status: 200, body })
const accepted = (body: unknown): Reply => ({ status: 202, body })
const counts = { queued: 2, running: 0, succeeded: 0, failed: 0, cancelled: 0 }
const { rate: _rate, eta: _eta, ...unpaced } = makeBatch()
const begun = { ...unpaced, counts }
const { id } = begun
const failed = {
  ...begun,
  status: 'failed' as const,
  counts: { ...counts, queued: 0, succeeded: 1, failed: 1 },
  causes: [makeCause()],
  finishedAt: begun.createdAt,
}

/** What was asked for, without headers. */
const requests = () => asked.map(({ method, url, body }) => [method, url, ...(body === undefined ? [] : [body])])
const sentAs = ({ headers, body }: Asked) => ({ type: headers['content-type'], key: headers['idempotency-key'], body })

describe('batch create', () => {
  test('sends the file and says what to type next', async () => {
    const args = [
      '--name',
      'spring',
      '--max-in-flight',
      '20',
      '--canary',
      '10',
      '--max-failures',
      '1',
      '--max-failure-rate',
      '0.1',
    ]
    const result = await provost(
      ['batch', 'create', clients, ...args, '--skip-invalid', '--idempotency-key', 'week-48'],
      [accepted({ batch: begun })],
    )
    expect(result).toEqual({
      exitCode: 0,
      stdout: `Batch ${id} (spring) is running: 0 succeeded, 2 queued of 2 jails
  to watch it: provost batch show ${id} --watch
  to hold it: provost batch pause ${id}
  what became of each jail: provost batch report ${id} --output FILE`,
      stderr: '',
    })
    const query = 'skipInvalid=true&name=spring&maxInFlight=20&canary=10&maxFailures=1&maxFailureRate=0.1'
    expect(requests()).toEqual([['POST', `/v1/batches?${query}`, csv]])
    expect(asked.map(sentAs)).toEqual([{ type: 'text/csv', key: 'week-48', body: csv }])
  })

  test('sends standard input as what it is said to be', async () => {
    const line = '{"name":"web1","client":"acme","world":"busybox"}\n'
    const args = ['batch', 'create', '-', '--format', 'ndjson', '--json']
    const { exitCode, stdout } = await provost(args, [accepted({ batch: begun })], {}, line)
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 0, body: { batch: begun } })
    expect(asked.map(sentAs)).toEqual([{ type: 'application/x-ndjson', key: expect.any(String), body: line }])
  })

  test('sends all of a file again, under its key, to a producer that comes back', async () => {
    const away = { status: 503, headers: { 'retry-after': '0' }, body: { detail: 'Redis is away.' } }
    const { exitCode } = await provost(
      ['batch', 'create', clients],
      [{ status: 0, breaks: true }, away, accepted({ batch: begun })],
    )
    expect(exitCode).toBe(0)
    const [first, ...others] = asked.map(sentAs)
    expect(first).toEqual({ type: 'text/csv', key: expect.stringMatching(/^.{36}$/), body: csv })
    expect(others).toEqual([first, first])
  })

  test('does not send again what it can read only once', async () => {
    const { exitCode, stderr } = await provost(
      ['batch', 'create', '-', '--format', 'csv'],
      [{ status: 0, breaks: true }],
      {},
      csv,
    )
    expect({ exitCode, stderr, times: asked.length }).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(/^http:\S+ does not answer: /),
      times: 1,
    })
  })

  test('says that it was sent before', async () => {
    const before = { ...accepted({ batch: begun }), headers: { 'idempotency-replayed': 'true' } }
    const { stdout } = await provost(['batch', 'create', clients, '--idempotency-key', 'week-48'], [before])
    expect(stdout).toMatch(/^This was sent before with the same key, and nothing is made twice\.\nBatch /)
  })

  test('shows what is wrong in which line, and how much more, when it is refused', async () => {
    const errors = [
      { line: 2, row: 1, field: 'world', message: 'is missing' },
      { line: 1200, row: 1199, field: 'name', message: 'stands in line 7, too' },
    ]
    const problem = { code: 'invalid_request', detail: '2,000 rows are not right.', hint: 'Correct them.', errors, more: 1998 }
    expect(await provost(['batch', 'create', clients], [{ status: 400, body: problem }])).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `invalid_request: 2,000 rows are not right.
  LINE  FIELD  WHAT
  2     world  is missing
  1200  name   stands in line 7, too
  and 1,998 more
  what to do: Correct them.`,
    })
  })

  test('shows faults by their cause, and what is meant instead', async () => {
    const causes = [
      {
        field: 'client',
        message: 'is wrong',
        value: 'Acme\u001b GmbH',
        suggestion: 'acme-gmbh',
        count: 40,
        lines: [2, 3, 4, 5, 6],
      },
      { field: 'name', message: 'is wrong', count: 1200, lines: [7, 8, 9, 10, 11] },
      { field: 'world', message: 'is required', count: 1, lines: [12] },
    ]
    const problem = {
      code: 'invalid_request',
      detail: '1,241 rows are not right.',
      hint: 'Send it with skipInvalid=true.',
      causes,
    }
    const { stderr } = await provost(['batch', 'create', clients], [{ status: 400, body: { ...problem, errors: [] } }])
    expect(stderr).toBe(`invalid_request: 1,241 rows are not right.
  TIMES  FIELD   WHAT         VALUE       BETTER     LINES
  40     client  is wrong     Acme\uFFFD GmbH  acme-gmbh  2, 3, 4, 5, 6, …
  1,200  name    is wrong     (various)              7, 8, 9, 10, 11, …
  1      world   is required                         12
  what to do: Send it with --skip-invalid.`)
  })

  test('with --rejects writes the rows that are wrong, and sends the others', async () => {
    const output = join(directory, 'rejects.csv')
    const rejected = { status: 200, headers: { 'content-type': 'text/csv' }, body: 'fault,name\nline 2: no,web1\n' }
    const args = ['batch', 'create', clients, '--rejects', output, '--encoding', 'windows-1252']
    const { exitCode, stderr } = await provost(args, [rejected, accepted({ batch: begun })])
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: `The rows that are wrong are in ${output}: correct them there, and send that file.`,
    })
    expect(readFileSync(output, 'utf8')).toBe(rejected.body)
    expect(requests()).toEqual([
      ['POST', '/v1/batches/rejects', csv],
      ['POST', '/v1/batches?skipInvalid=true', csv],
    ])
    expect(asked.map(({ headers }) => headers['content-type'])).toEqual(Array(2).fill('text/csv; charset=windows-1252'))

    const before = { ...accepted({ batch: begun }), headers: { 'idempotency-replayed': 'true' } }
    await provost(args, [{ ...rejected, body: 'all of them' }, before])
    expect([readFileSync(output, 'utf8'), readdirSync(directory).filter((name) => name.endsWith('.new'))]).toEqual([
      rejected.body,
      [],
    ])
  })

  test('names the rows that were left out', async () => {
    const skipped = [
      { line: 3, row: 2, field: 'name', message: 'is missing' },
      { line: 3, row: 2, field: 'world', message: 'is missing' },
    ]
    const answer = accepted({ batch: { ...begun, skipped: 5 }, skipped })
    const { exitCode, stdout } = await provost(['batch', 'create', clients, '--skip-invalid'], [answer])
    expect(exitCode).toBe(0)
    expect(stdout).toContain(`5 rows are wrong and are left out:
  LINE  FIELD  WHAT
  3     name   is missing
  3     world  is missing
  and 4 more rows
  to watch it: `)
  })

  test('with --watch ends with the batch, 1 unless all of it succeeded', async () => {
    const answers = [accepted({ batch: begun }), ok(begun), ok(failed)]
    const { exitCode, stdout, stderr } = await provost(['batch', 'create', clients, '--watch'], answers)
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: 'The batch has failed: 1 succeeded, 1 failed of 2 jails.' })
    expect(stdout).toContain(`spring 0%: running: 0 succeeded, 2 queued of 2 jails
spring 100%: failed: 1 succeeded, 1 failed of 2 jails
spring fails: mirror_unavailable at fill-world (debian-12): The mirror # does not answer.
`)
    expect(stdout).toContain(`to try them again: provost batch retry ${id} --cause c1 --watch`)
    expect(requests().slice(1)).toEqual(Array(2).fill(['GET', `/v1/batches/${id}`]))
  })

  test.each([
    ['a file that is not there', ['/nowhere/clients.csv'], 'There is no such file.'],
    ['a directory', [directory], 'It is a directory.'],
    ['a workbook', [file('clients.xlsx')], 'It is a workbook. Save it as "CSV UTF-8"'],
    [
      'rejects of what can be read only once',
      ['-', '--format', 'csv', '--rejects', 'x'],
      '--rejects needs a file that can be read twice',
    ],
    ['a file that may be anything', [file('clients.txt')], 'needs --format csv, ndjson or json'],
    ['standard input that may be anything', ['-'], 'Standard input needs --format csv, ndjson or json'],
    ['a count that is none', [clients, '--canary', 'ten'], 'It must be a number.'],
    ['a trial that is to be watched', [clients, '--dry-run', '--watch'], 'cannot be used with'],
  ])('ends with 2 on %s, and sends nothing', async (_, args, said) => {
    const { exitCode, stderr } = await provost(['batch', 'create', ...args])
    expect({ exitCode, stderr, asked }).toEqual({ exitCode: 2, stderr: expect.stringContaining(said), asked: [] })
  })
})

describe('batch create --dry-run', () => {
  const row = { line: 2, name: 'web1', host: 'host1' }
  const fitting = { rows: [row], hosts: { host1: 1 }, more: 0, fits: true }

  test('shows where the jails would go', async () => {
    const { exitCode, stdout } = await provost(['batch', 'create', clients, '--dry-run'], [ok(fitting)])
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'HOST   JAILS\nhost1  1\n\n1 of 1 jails would be made.' })
    expect(requests()).toEqual([['POST', '/v1/batches?dryRun=true', csv]])
  })

  test('ends with 1 when one fits nowhere, also with --json', async () => {
    const forecast = { ...fitting, rows: [row, { line: 3, name: 'web2', reason: 'No host has room.' }], more: 0, fits: false }
    const told = await provost(['batch', 'create', clients, '--dry-run'], [ok(forecast)])
    expect(told).toMatchObject({
      exitCode: 1,
      stdout: /3 {5}web2 {2}No host has room\./,
      stderr: 'Not all of the jails fit now. Made all the same, those that do not would wait for room.',
    })
    const { exitCode, stdout } = await provost(['batch', 'create', clients, '--dry-run', '--json'], [ok(forecast)])
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 1, body: forecast })
  })
})
