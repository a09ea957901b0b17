import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { pretendProducer, type Reply } from '../../support/fleets/pretend-producer.ts'
import { makeBatch, makeCause } from '../../support/samples/batch.ts'

const { provost, provostAtTerminal, asked } = pretendProducer()
const directory = mkdtempSync(join(tmpdir(), 'provost-batch-'))
afterAll(() => rm(directory, { recursive: true }))

const ok = (body: unknown): Reply => ({ status: 200, body })
const accepted = (body: unknown): Reply => ({ status: 202, body })
const counts = { queued: 2, running: 0, succeeded: 0, failed: 0, cancelled: 0 }
const batch = makeBatch()
const { rate: _rate, eta: _eta, ...unpaced } = batch
const begun = { ...unpaced, counts }
const { id } = batch
const done = {
  ...begun,
  status: 'succeeded' as const,
  counts: { ...counts, queued: 0, succeeded: 2 },
  finishedAt: begun.createdAt,
}

/** What was asked for, without headers. */
const requests = () => asked.map(({ method, url, body }) => [method, url, ...(body === undefined ? [] : [body])])

describe('batch show', () => {
  test('has how far it is and why jails failed', async () => {
    const { exitCode, stdout } = await provost(['batch', 'show', id], [ok({ ...batch, causes: [makeCause()] })])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^spring {2}━+─+ {2}62% /)
    expect(stdout).toContain(`--cause c1 --watch`)
    expect(requests()).toEqual([['GET', `/v1/batches/${id}`]])
  })

  test('with --watch stays while the producer is away, and prints the batch as it ended with --json', async () => {
    const away = { status: 502, body: { detail: 'Bad gateway' } }
    const { exitCode, stdout } = await provost(['batch', 'show', id, '--watch', '--json'], [ok(begun), away, ok(done)])
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 0, body: done })
  })

  test('with --watch tells once that it is paused, and goes on', async () => {
    const paused = { ...begun, status: 'paused' as const, reason: 'the canary failed' }
    const { stdout } = await provost(['batch', 'show', id, '--watch'], [ok(paused), ok(paused), ok(done)])
    expect(stdout.split('\n\n')[0]).toBe(`spring 0%: paused: the canary failed: 0 succeeded, 2 queued of 2 jails
spring 100%: succeeded: 2 succeeded of 2 jails`)
  })

  test('with --watch stays as long as jails of a cancelled batch are under way', async () => {
    const cancelled = { ...begun, status: 'cancelled' as const, counts: { ...counts, queued: 0, running: 1, cancelled: 1 } }
    const over = { ...cancelled, counts: { ...counts, queued: 0, succeeded: 1, cancelled: 1 }, finishedAt: begun.createdAt }
    const { exitCode, stdout } = await provost(['batch', 'show', id, '--watch'], [ok(cancelled), ok(over)])
    expect({ exitCode, lines: stdout.split('\n').slice(0, 2) }).toEqual({
      exitCode: 1,
      lines: [
        'spring 50%: cancelled: 0 succeeded, 1 cancelled, 1 running of 2 jails',
        'spring 100%: cancelled: 1 succeeded, 1 cancelled of 2 jails',
      ],
    })
  })

  test('ends with 1 on a batch that is not there, also with --watch', async () => {
    const gone = { status: 404, body: { code: 'not_found', detail: `There is no batch ${id}.` } }
    for (const args of [[], ['--watch']])
      expect(await provost(['batch', 'show', id, ...args], [gone])).toEqual({
        exitCode: 1,
        stdout: '',
        stderr: `not_found: There is no batch ${id}.`,
      })
  })
})

test('batch list has all pages', async () => {
  const answers = [ok({ items: [batch], nextCursor: 'more' }), ok({ items: [done], nextCursor: null })]
  const { exitCode, stdout } = await provost(['batch', 'list'], answers)
  expect({ exitCode, lines: stdout.split('\n').length }).toEqual({ exitCode: 0, lines: 3 })
  expect(requests()).toEqual([
    ['GET', '/v1/batches'],
    ['GET', '/v1/batches?cursor=more'],
  ])
})

describe('a change of a batch', () => {
  test.each([
    [['pause'], 'pause', undefined],
    [['resume'], 'resume', undefined],
    [['cancel'], 'cancel', {}],
    [['cancel', '--running', 'cancel'], 'cancel', { running: 'cancel' }],
    [['retry'], 'retry', {}],
    [['retry', '--cause', 'c1'], 'retry', { cause: 'c1' }],
  ])('%j is one request, after which it says how the batch stands', async ([verb = '', ...options], path, body) => {
    const { exitCode, stdout } = await provost(['batch', verb, id, ...options], [accepted({ batch: begun })])
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(`^Batch ${id} \\(spring\\) is running: `) })
    expect(requests()).toEqual([['POST', `/v1/batches/${id}/${path}`, ...(body ? [body] : [])]])
  })

  test('a pause says how to go on', async () => {
    const { stdout } = await provost(['batch', 'pause', id], [accepted({ batch: { ...begun, status: 'paused' } })])
    expect(stdout).toContain(`to go on: provost batch resume ${id}\n  to end it: provost batch cancel ${id}\n`)
  })

  test('a retry with --watch ends with the batch', async () => {
    const answers = [accepted({ batch: begun }), ok(begun), ok(done)]
    const { exitCode, stdout } = await provost(['batch', 'retry', id, '--watch', '--json'], answers)
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 0, body: { batch: done } })
  })

  test('a cancel with another word for what runs is wrong use', async () => {
    expect((await provost(['batch', 'cancel', id, '--running', 'kill'])).exitCode).toBe(2)
    expect(asked).toEqual([])
  })
})

describe('batch destroy', () => {
  const going = {
    ...{ dryRun: true, batch: id, more: 0, hosts: { host1: 2 }, kept: 1 },
    jails: ['web1', 'web2'].map((name, i) => ({ line: i + 2, name, client: 'acme', host: 'host1', state: 'running' })),
  }
  const table = `2 jails of batch ${id} would go: 2 on host1
1 jail of its rows would stay: the batch has not made them
JAIL  CLIENT  STATE    HOST
web1  acme    running  host1
web2  acme    running  host1`

  test('names with --dry-run what would go, and asks for a name on a terminal as well', async () => {
    const dry = await provost(['batch', 'destroy', 'spring', '--dry-run'], [ok(going)])
    expect(dry).toEqual({ exitCode: 0, stdout: table, stderr: '' })
    const answers = [ok(going), accepted({ batch: { ...begun, destroys: id } })]
    const { exitCode, shown } = await provostAtTerminal(['batch', 'destroy', 'spring'], answers, 'y\n')
    expect({ exitCode, shown }).toEqual({ exitCode: 0, shown: expect.stringContaining(table) })
    expect(shown).toContain('Destroy 2 jails of batch spring, with all that they hold? [y/N] ')
    expect(requests().map(([, url]) => url)).toEqual([
      '/v1/batches/spring/destroy?dryRun=true',
      '/v1/batches/spring/destroy?dryRun=true',
      '/v1/batches/spring/destroy',
    ])
  })

  test('needs --yes without a terminal, and then asks for nothing but the destroy', async () => {
    expect((await provost(['batch', 'destroy', id])).exitCode).toBe(2)
    expect(asked).toEqual([])
    const { stdout } = await provost(['batch', 'destroy', id, '--yes', '--max-in-flight', '5'], [accepted({ batch: begun })])
    expect(stdout).toMatch(/^Batch .* is running: /)
    expect(requests()).toEqual([['POST', `/v1/batches/${id}/destroy`, { maxInFlight: 5 }]])
  })

  test('is what a cancelled batch leads to', async () => {
    const cancelled = { ...done, status: 'cancelled' as const, counts: { ...done.counts, cancelled: 1 } }
    const { stdout } = await provost(['batch', 'cancel', id], [accepted({ batch: cancelled })])
    expect(stdout).toContain(`to destroy the jails that it made: provost batch destroy ${id}`)
  })
})

describe('batch report', () => {
  const report = 'line,name,state\n2,web1,running\n'
  const answer: Reply = { status: 200, headers: { 'content-type': 'text/csv' }, body: report }
  const output = join(directory, 'report.csv')

  test('goes to standard output as CSV', async () => {
    expect(await provost(['batch', 'report', id], [answer])).toEqual({ exitCode: 0, stdout: report.trimEnd(), stderr: '' })
    expect(requests()).toEqual([['GET', `/v1/batches/${id}/report.csv`]])
  })

  test('goes to a file, as JSON if that ends so', async () => {
    const path = join(directory, 'report.json')
    expect(await provost(['batch', 'report', id, '--output', path], [ok([])])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(readFileSync(path, 'utf8')).toBe('[]')
    await provost(['batch', 'report', id, '--output', path, '--format', 'csv'], [answer])
    expect(readFileSync(path, 'utf8')).toBe(report)
    expect(requests()).toEqual(['json', 'csv'].map((format) => ['GET', `/v1/batches/${id}/report.${format}`]))
  })

  test('leaves the file as it was when the report breaks off', async () => {
    writeFileSync(output, 'the last one')
    const short = { ...answer, headers: { ...answer.headers, 'content-length': '5000', connection: 'close' } }
    const { exitCode, stderr } = await provost(['batch', 'report', id, '--output', output], [short])
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('broke off its answer: ') })
    expect(readFileSync(output, 'utf8')).toBe('the last one')
    expect(readdirSync(directory).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  test('ends with 1 when there is no such batch, or no such directory', async () => {
    const gone = { status: 404, body: { code: 'not_found', detail: 'There is no such batch.' } }
    const refused = await provost(['batch', 'report', id], [gone])
    expect(refused).toEqual({ exitCode: 1, stdout: '', stderr: 'not_found: There is no such batch.' })
    const path = join(directory, 'nowhere', 'report.csv')
    const { exitCode, stderr } = await provost(['batch', 'report', id, '--output', path], [answer])
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining(`${path} cannot be written: ENOENT`) })
  })
})
