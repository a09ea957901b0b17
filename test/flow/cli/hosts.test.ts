import { describe, expect, test } from 'vitest'
import { events, pretendProducer, type Reply } from '../../support/fleets/pretend-producer.ts'
import { makeHost } from '../../support/samples/host.ts'
import { makeOperation } from '../../support/samples/operation.ts'

const { provost, provostAtTerminal, asked } = pretendProducer()
const since = '2026-01-01T00:00:00.000Z'
const finishedAt = '2026-01-01T00:00:06.000Z'
const ok = (body: unknown): Reply => ({ status: 200, body })
const accepted = (body: unknown): Reply => ({ status: 202, body })
const destroy = makeOperation({ kind: 'destroy', jail: 'old_shop', status: 'queued', percent: 0, step: null, steps: [] })
const destroyed = { ...destroy, status: 'succeeded' as const, percent: 100, finishedAt }
const fill = makeOperation({ kind: 'fill', jail: null, world: 'debian-12', status: 'queued', percent: 0, step: null })
const filled = { ...fill, status: 'succeeded' as const, percent: 100, finishedAt }

const noTerminal = 'error: this asks before it goes on, and here is no terminal: say --yes, or --dry-run to see what would go'

/** What was asked for, without headers. */
const requests = () => asked.map(({ method, url, body }) => [method, url, ...(body === undefined ? [] : [body])])

describe('hosts', () => {
  test('lists the fleet', async () => {
    const { exitCode, stdout } = await provost(['hosts'], [ok({ items: [makeHost()], nextCursor: null })])
    expect({ exitCode, requests: requests() }).toEqual({ exitCode: 0, requests: [['GET', '/v1/hosts']] })
    expect(stdout).toMatch(/^host1 +up +linux +3\/200 +192M\/64G +0.3\/16 +4 +0 +busybox /m)
  })

  test('show has the drift of one host', async () => {
    const drifts = [{ jail: 'old_shop', found: 'orphan', reason: 'no record of it', since }]
    const { exitCode, stdout } = await provost(['hosts', 'show', 'host1'], [ok({ ...makeHost(), drifts })])
    expect({ exitCode, requests: requests() }).toEqual({ exitCode: 0, requests: [['GET', '/v1/hosts/host1']] })
    expect(stdout).toContain(`old_shop  orphan  ${since}  no record of it`)
  })

  test('show prints the body with --json', async () => {
    const host = { ...makeHost(), drifts: [] }
    const { exitCode, stdout } = await provost(['hosts', 'show', 'host1', '--json'], [ok(host)])
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 0, body: host })
  })

  test.each([
    ['a verb of one host that is missing', ['hosts', 'show']],
    ['a verb that is not there', ['hosts', 'mend', 'host1']],
    ['an option that is not there', ['hosts', 'forget', 'host1', '--force']],
  ])('ends with 2 on %s', async (_, wrong) => {
    const { exitCode } = await provost(wrong)
    expect({ exitCode, asked }).toEqual({ exitCode: 2, asked: [] })
  })
})

describe('hosts leftovers', () => {
  const items = [
    { jail: 'web1', steps: ['clone-root'], since, attempts: 2, lastError: 'busy', nextTryAt: '2026-01-01T00:04:00.000Z' },
  ]

  test('lists what a host could not remove', async () => {
    const { exitCode, stdout } = await provost(['hosts', 'leftovers', 'host1'], [ok({ items })])
    expect({ exitCode, requests: requests() }).toEqual({ exitCode: 0, requests: [['GET', '/v1/hosts/host1/leftovers']] })
    expect(stdout).toMatch(/^web1 +clone-root +.* ago +2 times +now +busy$/m)
  })

  test('asks the host to try now with --retry, and prints the body with --json', async () => {
    const { exitCode, stdout } = await provost(['hosts', 'leftovers', 'host1', '--retry', '--json'], [accepted({ items })])
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 0, body: { items } })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/leftovers/retry']])
  })
})

describe('hosts adopt', () => {
  test('asks for all orphans when none is named', async () => {
    const result = await provost(['hosts', 'adopt', 'host1'], [ok({ adopted: ['web1', 'web2'], refused: [] })])
    expect(result).toEqual({ exitCode: 0, stdout: 'Adopted on host1: web1 web2', stderr: '' })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/adopt', {}]])
  })

  test('ends with 1 and says why for those that were refused', async () => {
    const refused = [{ jail: 'web2', code: 'name_taken', detail: 'There is a jail web2 on host2.' }]
    const answer = ok({ adopted: ['web1'], refused })
    expect(await provost(['hosts', 'adopt', 'host1', 'web1', 'web2'], [answer])).toEqual({
      exitCode: 1,
      stdout: 'Adopted on host1: web1',
      stderr: 'web2 was not adopted: name_taken: There is a jail web2 on host2.',
    })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/adopt', { jails: ['web1', 'web2'] }]])
    const { exitCode, stdout, stderr } = await provost(['hosts', 'adopt', 'host1', '--json'], [answer])
    expect({ exitCode, body: JSON.parse(stdout), stderr }).toEqual({ exitCode: 1, body: answer.body, stderr: '' })
  })

  test('says that there are none', async () => {
    const { stdout } = await provost(['hosts', 'adopt', 'host1'], [ok({ adopted: [], refused: [] })])
    expect(stdout).toBe('There are no orphans on host1.')
  })
})

describe('hosts clean', () => {
  test('names the destroy of each orphan', async () => {
    const result = await provost(['hosts', 'clean', 'host1', 'old_shop', '--yes'], [accepted({ operations: [destroy] })])
    const stdout = `The destroy of old_shop is queued: operation ${destroy.id}`
    expect(result).toEqual({ exitCode: 0, stdout, stderr: '' })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/clean', { jails: ['old_shop'] }]])
  })

  test('says that there are none, also with --wait', async () => {
    for (const wait of [[], ['--wait']])
      expect(await provost(['hosts', 'clean', 'host1', '--yes', ...wait], [accepted({ operations: [] })])).toEqual({
        exitCode: 0,
        stdout: 'There are no orphans on host1.',
        stderr: '',
      })
  })

  test('with --wait ends when all are gone', async () => {
    const answers = [accepted({ operations: [destroy] }), ok(events(destroy) + events(destroyed))]
    expect(await provost(['hosts', 'clean', 'host1', '--yes', '--wait'], answers)).toEqual({
      exitCode: 0,
      stdout: `old_shop destroy 0%: queued
old_shop destroy 100%: succeeded after 5.0 s
1 orphan of host1 destroyed.`,
      stderr: '',
    })
  })

  test('with --wait ends with 1 when one is still there, also with --json', async () => {
    const failed = { ...destroy, status: 'failed' as const, finishedAt }
    const answers = [accepted({ operations: [destroy] }), ok(events(failed)), ok(failed)]
    const told = await provost(['hosts', 'clean', 'host1', '--yes', '--wait'], answers)
    expect(told).toMatchObject({ exitCode: 1, stderr: 'The destroy of old_shop has failed.' })
    const { exitCode, stdout } = await provost(['hosts', 'clean', 'host1', '--yes', '--wait', '--json'], answers)
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 1, body: { operations: [failed] } })
  })

  const orphan = { name: 'old_shop', client: 'acme', world: 'busybox', addresses: ['10.0.0.2/22'], since }
  const dryRun = ok({ dryRun: true, jails: [orphan] })
  const table = `ORPHAN    CLIENT  WORLD    ADDRESSES    FOUND
old_shop  acme    busybox  10.0.0.2/22  ${since}`

  test('asks on a terminal, by name, and destroys those that it named', async () => {
    const answers = [dryRun, accepted({ operations: [destroy] })]
    const { exitCode, shown } = await provostAtTerminal(['hosts', 'clean', 'host1'], answers, 'y\n')
    expect({ exitCode, shown }).toEqual({ exitCode: 0, shown: expect.stringContaining(table) })
    expect(shown).toContain('Destroy 1 orphan of host1, with all that it holds? [y/N] ')
    expect(requests()).toEqual([
      ['POST', '/v1/hosts/host1/clean?dryRun=true', {}],
      ['POST', '/v1/hosts/host1/clean', { jails: ['old_shop'] }],
    ])
  })

  test.each(['n\n', '\n'])('does nothing unless the answer on a terminal is yes: %j', async (typed) => {
    const { exitCode, shown } = await provostAtTerminal(['hosts', 'clean', 'host1'], [dryRun], typed)
    expect({ exitCode, shown }).toEqual({ exitCode: 1, shown: expect.stringMatching(/Nothing was done\.\s*$/) })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/clean?dryRun=true', {}]])
  })

  test('is wrong use without a terminal and --yes', async () => {
    const { exitCode, stderr } = await provost(['hosts', 'clean', 'host1'])
    expect({ exitCode, stderr, asked }).toEqual({ exitCode: 2, stderr: noTerminal, asked: [] })
  })

  test('names with --dry-run what would go and why it cannot, and nothing is destroyed', async () => {
    const refused = { code: 'jail_busy', detail: 'Operation 1 is at work.' }
    const answer = ok({ dryRun: true, jails: [{ ...orphan, refused }] })
    expect(await provost(['hosts', 'clean', 'host1', 'old_shop', '--dry-run'], [answer])).toEqual({
      exitCode: 0,
      stdout: `${table}  cannot go now: jail_busy: Operation 1 is at work.`,
      stderr: '',
    })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/clean?dryRun=true', { jails: ['old_shop'] }]])
    expect(JSON.parse((await provost(['hosts', 'clean', 'host1', '--dry-run', '--json'], [answer])).stdout)).toEqual(answer.body)
  })
})

describe('hosts forget', () => {
  const counts = { host: 'host1', operationsFailed: 2, jailsForgotten: 5 }

  test('says what it did and what is still held', async () => {
    const result = await provost(['hosts', 'forget', 'host1', '--yes'], [ok({ ...counts, addressesHeld: 5 })])
    expect(result).toEqual({
      exitCode: 0,
      stdout: `host1 is forgotten.
  operations that failed with it: 2
  jails taken off the records: 5
  addresses still held: 5
  Its jails may still use them. Once it is off for good: provost hosts forget host1 --powered-off`,
      stderr: '',
    })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/forget', {}]])
  })

  test('with --powered-off gives the addresses free', async () => {
    const { stdout } = await provost(
      ['hosts', 'forget', 'host1', '--yes', '--powered-off'],
      [ok({ ...counts, addressesHeld: 0 })],
    )
    expect(stdout.split('\n').at(-1)).toBe('  addresses still held: 0')
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/forget', { poweredOff: true }]])
  })

  test('ends with 1 while the host is up', async () => {
    const problem = { code: 'host_up', detail: 'host1 is up.', hint: 'Stop its worker first.' }
    const { exitCode, stderr } = await provost(['hosts', 'forget', 'host1', '--yes'], [{ status: 409, body: problem }])
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: 'host_up: host1 is up.\n  what to do: Stop its worker first.',
    })
  })

  const dryRun = {
    dryRun: true,
    host: 'host1',
    operations: [{ id: destroy.id, kind: 'restart', jail: 'web2' }],
    jails: Array.from({ length: 30 }, (_, i) => ({
      ...{ name: `web${i}`, client: 'acme', state: 'running', addresses: ['10.0.0.2/22'] },
    })),
    addressesHeld: 30,
    addressesFreed: 0,
  }

  test('asks on a terminal, with what would go by name', async () => {
    const answers = [ok(dryRun), ok({ ...counts, addressesHeld: 5 })]
    const { exitCode, shown } = await provostAtTerminal(['hosts', 'forget', 'host1'], answers, 'yes\n')
    expect({ exitCode, shown }).toEqual({
      exitCode: 0,
      shown: expect.stringContaining(`With host1 would go, and nothing be done on the host itself:
  addresses held: 30
  operations that fail: 1
    restart of web2: ${destroy.id}
  jails off the records: 30
    web0 of acme, running, 10.0.0.2/22
`),
    })
    expect(shown).toContain('and 15 more; --dry-run names them all\nForget host1? [y/N] ')
    expect(requests()).toEqual([
      ['POST', '/v1/hosts/host1/forget?dryRun=true', {}],
      ['POST', '/v1/hosts/host1/forget', {}],
    ])
  })

  test('is wrong use without a terminal and --yes', async () => {
    const { exitCode, stderr } = await provost(['hosts', 'forget', 'host1'])
    expect({ exitCode, stderr, asked }).toEqual({ exitCode: 2, stderr: noTerminal, asked: [] })
  })

  test('names all of it with --dry-run, and forgets nothing', async () => {
    const { exitCode, stdout } = await provost(['hosts', 'forget', 'host1', '--powered-off', '--dry-run'], [ok(dryRun)])
    expect({ exitCode, last: stdout.split('\n').at(-1) }).toEqual({
      exitCode: 0,
      last: '    web29 of acme, running, 10.0.0.2/22',
    })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/forget?dryRun=true', { poweredOff: true }]])
  })
})

describe('fill', () => {
  test('names the operation by world and host', async () => {
    const result = await provost(['fill', 'host1', 'debian-12'], [accepted({ operation: fill })])
    const stdout = `The fill of debian-12 on host1 is queued: operation ${fill.id}`
    expect(result).toEqual({ exitCode: 0, stdout, stderr: '' })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/worlds/debian-12/fill']])
  })

  test('with --wait ends when the world is ready', async () => {
    const answers = [accepted({ operation: fill }), ok(events(fill) + events(filled))]
    expect(await provost(['fill', 'host1', 'debian-12', '--wait'], answers)).toEqual({
      exitCode: 0,
      stdout: 'debian-12 on host1 fill 0%: queued\ndebian-12 on host1 fill 100%: succeeded after 5.0 s',
      stderr: '',
    })
  })
})

describe('drain', () => {
  const draining = (operations: number, jails = 3) =>
    makeHost({ state: 'draining', operations, promised: { ...makeHost().promised, jails } })

  test('with --wait tells how many operations are left until there are none, and which jails stay', async () => {
    const answers = [ok({ host: draining(2) }), ok(draining(2)), ok(draining(2)), ok(draining(1)), ok(draining(0))]
    expect(await provost(['drain', 'host1', '--wait'], answers)).toEqual({
      exitCode: 0,
      stdout: `host1 is draining: 2 operations left; 3 jails stay
host1 is draining: 1 operation left; 3 jails stay
host1 is draining: no operations left; 3 jails stay
  They go only when they are destroyed: provost list --host host1`,
      stderr: '',
    })
    expect(requests()).toEqual([['POST', '/v1/hosts/host1/drain'], ...Array(4).fill(['GET', '/v1/hosts/host1'])])
  })

  test('with --wait goes on while the host is not seen to be drained, and prints it as it is in the end with --json', async () => {
    const answers = [ok({ host: draining(1) }), ok(makeHost({ operations: 0 })), ok(draining(0))]
    const { exitCode, stdout } = await provost(['drain', 'host1', '--wait', '--json'], answers)
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 0, body: { host: draining(0) } })
  })

  test('does not wait unless told to', async () => {
    const { stdout } = await provost(['drain', 'host1'], [ok({ host: draining(2, 1) })])
    expect({ stdout, requests: requests() }).toEqual({
      stdout: 'host1 is draining: 2 operations left; 1 jail stays',
      requests: [['POST', '/v1/hosts/host1/drain']],
    })
  })

  test('says that a host has no jail left', async () => {
    const { stdout } = await provost(['drain', 'host1', '--wait'], [ok({ host: draining(0, 0) }), ok(draining(0, 0))])
    expect(stdout).toBe('host1 is draining: no operations left; no jail is on it')
  })
})

describe('create --dry-run', () => {
  const args = ['create', 'web1', '--client', 'acme', '--world', 'busybox', '--dry-run']
  const no = { host: 'host2', fits: false, code: 'no_capacity', detail: 'has 10M of memory left' }

  test('shows where the jail would go, and why not elsewhere', async () => {
    const limits = { memory: 64 * 1024 ** 2, cpu: 0.1, processes: 100 }
    const placement = {
      fits: true,
      host: 'host1',
      addresses: ['10.0.0.2/22'],
      limits,
      hosts: [{ host: 'host1', fits: true }, no],
    }
    expect(await provost(args, [ok(placement)])).toEqual({
      exitCode: 0,
      stdout: `HOST   FITS  WHY
host1  yes
host2  no    no_capacity: has 10M of memory left
web1 would go to host1 at 10.0.0.2/22, with memory 64M, cpu 0.1, processes 100`,
      stderr: '',
    })
    expect(requests()).toEqual([['POST', '/v1/jails?dryRun=true', { name: 'web1', client: 'acme', world: 'busybox' }]])
  })

  test('ends with 1 when it fits on no host, also with --json', async () => {
    const reason = { code: 'no_capacity', detail: 'No host has enough memory.' }
    const placement = { fits: false, host: null, addresses: [], limits: null, reason, hosts: [no] }
    expect(await provost(args, [ok(placement)])).toEqual({
      exitCode: 1,
      stdout: 'HOST   FITS  WHY\nhost2  no    no_capacity: has 10M of memory left',
      stderr: 'web1 fits on no host.\n  no_capacity: No host has enough memory.',
    })
    const { exitCode, stdout } = await provost([...args, '--json'], [ok(placement)])
    expect({ exitCode, body: JSON.parse(stdout) }).toEqual({ exitCode: 1, body: placement })
  })

  test('is wrong use together with --wait', async () => {
    expect((await provost([...args, '--wait'])).exitCode).toBe(2)
    expect(asked).toEqual([])
  })
})

describe('show', () => {
  const jail = {
    ...{ name: 'web1', client: 'acme', hostname: 'web1', world: 'busybox', host: 'host2', addresses: [], labels: {} },
    ...{ limits: { memory: 67_108_864, cpu: 0.1, processes: 100 }, state: 'stopped', reason: 'stopped by hand', jid: null },
    ...{ epoch: 8, lastOperation: destroy.id, createdAt: since, updatedAt: since },
  }

  test('says why a jail is as it is, and how its last operation was moved', async () => {
    const moves = [{ at: since, from: 'host1', to: 'host2', epoch: 8, reason: 'host host1 is down' }]
    const { stdout } = await provost(['show', 'web1'], [ok(jail), ok(makeOperation({ moves }))])
    expect(stdout).toMatch(/^state +stopped: stopped by hand$/m)
    expect(stdout).toMatch(/^ *moved from host1 to host2: host host1 is down$/m)
  })

  test('shows a jail whose last operation is not known any more', async () => {
    const gone = { status: 404, body: { code: 'not_found', detail: 'There is no such operation.' } }
    const { exitCode, stdout } = await provost(['show', 'web1'], [ok(jail), gone])
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^jail +web1\n/) })
  })
})
