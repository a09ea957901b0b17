import { describe, expect, test } from 'vitest'
import { version } from '#shared/process/version.ts'
import { cancelLines } from '../../../cli/print/operation-lines.ts'
import { events, pretendProducer } from '../../support/fleets/pretend-producer.ts'
import { freePort } from '../../support/free-port.ts'
import { makeOperation } from '../../support/samples/operation.ts'

const { provost, provostAtTerminal, asked } = pretendProducer()
const done = makeOperation({ status: 'succeeded', percent: 100, step: null, finishedAt: '2026-01-01T00:00:06.000Z' })
const ok = (body: unknown) => ({ status: 200, body })
const queued = makeOperation({ status: 'queued', percent: 0, step: null })
const jail = {
  name: 'web1',
  client: 'acme',
  hostname: 'web1',
  world: 'busybox',
  host: 'dev-1',
  addresses: ['10.0.0.2/22'],
  limits: { memory: 67_108_864, cpu: 0.1, processes: 100 },
  labels: {},
  state: 'running',
  jid: 7,
  epoch: 1,
  isolation: { checkedAt: '2026-01-01T00:00:06.000Z', checks: [{ name: 'hostname', ok: true, detail: 'sees web1' }] },
  lastOperation: done.id,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:06.000Z',
}

describe('create', () => {
  const args = ['create', 'web1', '--client', 'acme', '--world', 'busybox']

  test('sends what was asked for, and nothing that was not', async () => {
    const options = ['--address', '10.0.0.7', '--address', 'fd00::7', '--memory', '512M', '--cpu', '0.5', '--label', 'tier=gold']
    const result = await provost(
      [...args, ...options, '--', '/bin/httpd', '-f'],
      [{ status: 202, body: { jail, operation: queued } }],
    )
    expect(result).toEqual({ exitCode: 0, stdout: `The provision of web1 is queued: operation ${queued.id}`, stderr: '' })
    expect(asked).toMatchObject([{ method: 'POST', url: '/v1/jails', headers: { authorization: 'Bearer a-key' } }])
    expect(asked[0]?.body).toEqual({
      name: 'web1',
      client: 'acme',
      world: 'busybox',
      addresses: ['10.0.0.7', 'fd00::7'],
      limits: { memory: '512M', cpu: 0.5 },
      labels: { tier: 'gold' },
      command: ['/bin/httpd', '-f'],
    })
  })

  test('with --wait shows each step in a line of its own and where the jail runs', async () => {
    const result = await provost(
      [...args, '--wait'],
      [
        { status: 202, body: { jail, operation: queued } },
        { status: 200, body: events(makeOperation()) + events(done) },
        { status: 200, body: jail },
      ],
    )
    expect(result).toEqual({
      exitCode: 0,
      stdout: `web1 provision 45%: Cloning the world
web1 provision 100%: succeeded after 5.0 s
web1 is running on dev-1 at 10.0.0.2/22; 1 of 1 isolation checks passed`,
      stderr: '',
    })
  })

  test('with --wait says that the command has ended already', async () => {
    const command = { argv: ['/bin/httpd'], state: 'exited', exitCode: 3, startedAt: jail.createdAt, endedAt: jail.updatedAt }
    const { stdout } = await provost(
      [...args, '--wait', '--', '/bin/httpd'],
      [
        { status: 202, body: { jail, operation: queued } },
        { status: 200, body: events(done) },
        { status: 200, body: { ...jail, command } },
      ],
    )
    expect(stdout).toContain('its command ended 2026-01-01T00:00:06.000Z with exit code 3; what it printed: provost logs web1')
  })

  test('repeats under the same key when the connection breaks or the queue is away', async () => {
    const result = await provost(args, [
      { status: 0, breaks: true },
      { status: 503, headers: { 'retry-after': '0' }, body: { code: 'queue_unavailable', detail: 'Redis is away.' } },
      { status: 202, body: { jail, operation: queued } },
    ])
    expect(result.exitCode).toBe(0)
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST'])
    const keys = new Set(asked.map(({ headers }) => headers['idempotency-key']))
    expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
  })

  test('with --json prints the body, and the ended one with --wait', async () => {
    const body = { jail, operation: done }
    const result = await provost(
      [...args, '--json', '--wait'],
      [
        { status: 202, body: { jail, operation: queued } },
        { status: 200, body },
      ],
    )
    expect(result.exitCode).toBe(0)
    expect(JSON.parse(result.stdout)).toEqual(body)
    expect(asked.map(({ headers }) => headers['prefer'])).toEqual(['wait=60', 'wait=60'])
  })

  test.each([
    ['an option that is missing', ['create', 'web1', '--client', 'acme']],
    ['a number that is none', [...args, '--cpu', 'much']],
    ['a label without a value', [...args, '--label', 'gold']],
    ['a command that does not stand after --', [...args, '/bin/httpd']],
    ['an option that is not there', [...args, '--bogus']],
    ['a verb that is not there', ['make', 'web1']],
  ])('ends with 2 on %s and asks nothing', async (_, wrong) => {
    const { exitCode, stderr } = await provost(wrong)
    expect({ exitCode, asked }).toEqual({ exitCode: 2, asked: [] })
    expect(stderr).not.toBe('')
  })
})

describe('a refusal', () => {
  const problem = {
    code: 'invalid_request',
    detail: 'The request is not right.',
    hint: 'Correct the named fields.',
    errors: [{ field: 'name', message: 'must match' }],
  }

  test('is told with the fields at fault and what to do, and ends with 1', async () => {
    expect(await provost(['stop', 'web1'], [{ status: 400, body: problem }])).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'invalid_request: The request is not right.\n  name: must match\n  what to do: Correct the named fields.',
    })
  })

  test('is printed as it came with --json', async () => {
    const { exitCode, stdout } = await provost(['show', 'web1', '--json'], [{ status: 404, body: problem }])
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 1, body: problem })
  })
})

test('a failed operation ends with 1 and tells the step and what to do', async () => {
  const error = {
    code: 'command_failed',
    message: 'mount ended with exit code 32',
    hint: 'Mend it.',
    step: 'clone-root',
    exitCode: 32,
  }
  const failed = makeOperation({ status: 'failed', error, finishedAt: '2026-01-01T00:00:06.000Z' })
  const { exitCode, stderr } = await provost(['watch', failed.id], [{ status: 200, body: events(failed) }])
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: `The provision of web1 failed at step clone-root (Cloning the world).
  command_failed: mount ended with exit code 32
  exit code: 32
  what to do: Mend it.
  the whole log: provost log ${failed.id}
  to try again: provost retry ${failed.id} --wait`,
  })
})

describe('what a client of the fleet has put into a command, or a jail has printed,', () => {
  const log = 'runc exec web1 /bin/echo \u001b[2J\u009b5n\nprinted\ttoo'

  test('does not command a terminal', async () => {
    const { shown } = await provostAtTerminal(['log', done.id], [ok(log)], '')
    expect(shown).toContain('runc exec web1 /bin/echo \ufffd[2J\ufffd5n\nprinted\ttoo')
    const message = '/bin/echo \u001b[2J ended with exit code 1.'
    const error = { code: 'command_failed', message, hint: 'See the log.', step: 'run-command' }
    const failed = makeOperation({ status: 'failed', error, finishedAt: done.finishedAt })
    const watched = await provostAtTerminal(['watch', done.id], [ok(events(failed))], '')
    expect(watched.shown).toContain('command_failed: /bin/echo \ufffd[2J ended')
  })

  test('stays as it is elsewhere', async () => {
    expect((await provost(['log', done.id], [ok(log)])).stdout).toBe(log)
  })
})

test('cancel --wait is done only when the operation ended cancelled', async () => {
  const cancelled = makeOperation({ status: 'cancelled', finishedAt: '2026-01-01T00:00:06.000Z' })
  const asks = { status: 202, body: { operation: queued } }
  expect((await provost(['cancel', done.id, '--wait'], [asks, { status: 200, body: events(cancelled) }])).exitCode).toBe(0)
  expect((await provost(['cancel', done.id, '--wait'], [asks, { status: 200, body: events(done) }])).exitCode).toBe(1)
})

test('cancel says what becomes of the jail, and of one that had ended that nothing does', async () => {
  const ask = async (operation: typeof queued, args: string[] = []) =>
    (
      await provost(
        ['cancel', done.id, ...args],
        [
          { status: 202, body: { operation } },
          { status: 200, body: events(operation) },
        ],
      )
    ).stdout
  expect(await ask(queued)).toBe(`The provision of web1 is queued: operation ${queued.id}
  Jail web1 will be gone from its host, and its name and addresses free.`)
  expect(await ask({ ...done, kind: 'restart' })).toContain('It had succeeded before it could be cancelled: nothing is undone.')
})

test.each([
  ['restart', 'queued', null, 'Jail web1 stays as it was before.'],
  ['restart', 'running', 'start-jail', 'Jail web1 will be stopped.'],
  ['start', 'cancelled', null, 'Jail web1 is stopped.'],
  ['provision', 'cancelled', null, 'Jail web1 is gone from its host, and its name and addresses free.'],
] as const)('what becomes of a jail whose %s is %s', (kind, status, step, text) => {
  const startedAt = status === 'queued' ? null : queued.createdAt
  expect(cancelLines(makeOperation({ kind, status, step, startedAt }))).toEqual([`  ${text}`])
})

describe('an operation may be named by its jail', () => {
  const gone = { status: 404, body: { code: 'not_found', detail: 'There is no jail web1.' } }

  test.each([
    [['watch'], events(done), 'GET', 'events'],
    [['log'], 'a log', 'GET', 'log'],
    [['retry'], { operation: queued }, 'POST', 'retry'],
    [['cancel'], { operation: queued }, 'POST', 'cancel'],
  ] as const)('by %j', async ([verb], body, method, path) => {
    const { exitCode } = await provost([verb, 'web1'], [ok(jail), ok(body)])
    expect({ exitCode, urls: asked.map((each) => `${each.method} ${each.url}`) }).toEqual({
      exitCode: 0,
      urls: ['GET /v1/jails/web1', `${method} /v1/operations/${done.id}/${path}`],
    })
  })

  test('also of one that is gone; one that never was is not found', async () => {
    await provost(['log', 'web1'], [gone, ok({ items: [{ id: done.id }], nextCursor: null }), ok('a log')])
    expect(asked.map(({ url }) => url).slice(1)).toEqual(['/v1/operations?limit=1&jail=web1', `/v1/operations/${done.id}/log`])
    const { exitCode, stderr } = await provost(['log', 'web1'], [gone, ok({ items: [], nextCursor: null })])
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: 'not_found: There is no operation web1, and no jail of that name that has or had one.',
    })
  })
})

test('logs says of a jail that has printed nothing that it has not', async () => {
  expect(await provost(['logs', 'web1'], [{ status: 200, body: '' }])).toMatchObject({
    exitCode: 0,
    stdout: '',
    stderr: 'web1 has printed nothing.',
  })
  expect(await provost(['logs', 'web1'], [{ status: 200, body: 'hello' }])).toMatchObject({ stdout: 'hello', stderr: '' })
})

describe('a producer that does not answer', () => {
  test('is told of at once, while it is asked again', async () => {
    const started = performance.now()
    const url = `http://127.0.0.1:${await freePort()}`
    const { exitCode, stderr } = await provost(['list'], [], { PROVOST_URL: url })
    expect({ exitCode, lines: stderr.split('\n') }).toEqual({
      exitCode: 1,
      lines: [
        expect.stringMatching(/^http:\S+ does not answer: .*; it is asked again for 5 s\.$/),
        expect.stringMatching(/^http:\S+ does not answer: /),
        '  what to do: check PROVOST_URL and that the producer runs.',
      ],
    })
    expect(performance.now() - started).toBeGreaterThan(3_000)
  })

  test('and one that cannot do it yet, too, with its reason', async () => {
    const away = { status: 503, headers: { 'retry-after': '0' }, body: { code: 'queue_unavailable', detail: 'Redis is away.' } }
    const { exitCode, stdout, stderr } = await provost(
      ['list'],
      [away, away, { status: 200, body: { items: [], nextCursor: null } }],
    )
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'No jails.' })
    expect(stderr).toMatch(/^http:\S+ cannot do it yet: Redis is away\.; it is asked again for 30 s\.$/)
  })
})

test('--version is the version, of the services, too', async () => {
  for (const args of [
    ['--version'],
    ['producer', '--version'],
    ['worker', '--version'],
    ['doctor', '--version'],
    ['dev', '--version'],
  ])
    expect(await provost(args)).toEqual({ exitCode: 0, stdout: version, stderr: '' })
})

test('list reads all pages', async () => {
  const page = (name: string, nextCursor: string | null) => ({ status: 200, body: { items: [{ ...jail, name }], nextCursor } })
  const { stdout } = await provost(['list', '--client', 'acme'], [page('web1', 'CURSOR'), page('web2', null)])
  expect(stdout).toBe(`JAIL  CLIENT  STATE    HOST   WORLD    MEMORY  CPU  ADDRESSES
web1  acme    running  dev-1  busybox  64M     0.1  10.0.0.2/22
web2  acme    running  dev-1  busybox  64M     0.1  10.0.0.2/22`)
  expect(asked.map(({ url }) => url)).toEqual([
    '/v1/jails?client=acme&limit=500',
    '/v1/jails?client=acme&limit=500&cursor=CURSOR',
  ])
})

test('without a key it says how to get one and ends with 2', async () => {
  const { exitCode, stderr } = await provost(['list'], [], { PROVOST_API_KEY: '' })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('PROVOST_API_KEY')
  expect(asked).toEqual([])
})

test('--help names every verb', async () => {
  const { exitCode, stdout } = await provost(['--help'])
  expect(exitCode).toBe(0)
  const verbs = [
    'create',
    'list',
    'show',
    'start',
    'stop',
    'restart',
    'destroy',
    'watch',
    'retry',
    'cancel',
    'log',
    'hosts',
    'worlds',
    'fill',
  ]
  for (const verb of [...verbs, 'drain', 'undrain', 'dev', 'producer', 'worker', 'doctor'])
    expect(stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'))
})
