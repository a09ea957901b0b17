import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect } from 'vitest'
import type { Jail } from '#shared/jail.ts'
import { scaledTiming } from '#shared/process/timing.ts'
import { openBatch } from '../../support/fleets/ask-in-batch.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { startTestProducer } from '../../support/fleets/test-producer.ts'
import { makeGate } from '../../support/gate.ts'
import { hostReport, writeBeat, writeHost } from '../../support/hosts/write-host.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { removeKeys, type TestRedis, test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const timing = scaledTiming(0.2)

const recovery = async (fleet: Fleet) => (await fleet.call('GET', '/v1/recover')).body

/** Redis loses everything, and the fleet notices. */
async function loseAll({ url, prefix }: TestRedis, fleet: Fleet): Promise<void> {
  const before = (await recovery(fleet)).fleet
  await removeKeys(url, prefix)
  await until('the loss to be noticed', async () => (await recovery(fleet)).fleet !== before)
}

const rebuilt = (fleet: Fleet) =>
  until('the records to be rebuilt', async () => {
    const now = await recovery(fleet)
    return now.lost !== null && now.state === 'normal' && now
  })

/** All that a client sees of the jails, but for when it was written. */
async function jailsOf(fleet: Fleet): Promise<Omit<Jail, 'updatedAt'>[]> {
  const { items } = (await fleet.call('GET', '/v1/jails')).body as { items: Jail[] }
  return items.map(({ updatedAt: _, ...jail }) => jail)
}

/** The leases and what each host has promised. */
async function ledger(at: TestRedis, hosts: string[]) {
  const { redis, keys } = storeOf(at)
  const promised = await Promise.all(hosts.map((host) => redis.hgetall(keys.promised(host))))
  return { leases: await redis.hgetall(keys.leases), promised, epoch: Number(await redis.get(keys.epoch)) }
}

test('what Redis lost is rebuilt from the journals of the hosts', async ({ redis }) => {
  const hosts = ['host1', 'host2']
  const fleet = await startFleet(redis, { hosts, timing, setuid: 'on-request' })
  const labels = { tier: 'gold' }
  const privileges = { setuid: true }
  await fleet.ended(
    await fleet.ask(
      'running',
      { host: 'host1', clientName: 'Größe & Söhne', labels, privileges, command: ['/bin/sleep', '9'] },
      { 'idempotency-key': 'one' },
    ),
  )
  await fleet.ended(await fleet.ask('stopped', { host: 'host2', hostname: 'stopped.example.com', limits: { memory: '128M' } }))
  await fleet.ended(await fleet.call('POST', '/v1/jails/stopped/stop'))
  fleet.host('host2').before('ensureJail', ({ name }) => {
    if (name === 'failed') throw new Error('It cannot be started.')
  })
  expect((await fleet.ended(await fleet.ask('failed', { host: 'host2' }))).status).toBe('failed')
  await fleet.ended(await fleet.ask('gone', { host: 'host1' }))
  const destroyed = await fleet.call('DELETE', '/v1/jails/gone', undefined, { 'idempotency-key': 'two' })
  const ended = await fleet.ended(destroyed)
  const before = { jails: await jailsOf(fleet), ledger: await ledger(redis, hosts) }
  expect(before.jails.map(({ name, state }) => [name, state])).toEqual([
    ['failed', 'failed'],
    ['running', 'running'],
    ['stopped', 'stopped'],
  ])

  await loseAll(redis, fleet)
  const { lost, ...now } = await rebuilt(fleet)
  expect(now.hosts).toEqual([
    { id: 'host1', state: 'taken', jails: 1, operations: 3, conflicts: [] },
    { id: 'host2', state: 'taken', jails: 2, operations: 3, conflicts: [] },
  ])
  expect(lost).toContain('Operations that had not begun on a host')
  expect(await jailsOf(fleet)).toEqual(before.jails)
  expect(await ledger(redis, hosts)).toEqual(before.ledger)

  // An operation whose jail is gone is there too, and each key still stands for what it stood for.
  const { startedAt: _s, ...shown } = await fleet.operation(ended.id)
  const { startedAt: _t, ...asBefore } = ended
  expect(shown).toEqual(asBefore)
  const again = await fleet.ask(
    'running',
    { host: 'host1', clientName: 'Größe & Söhne', labels, privileges, command: ['/bin/sleep', '9'] },
    { 'idempotency-key': 'one' },
  )
  expect([again.status, again.headers.get('idempotency-replayed'), again.body.jail.name]).toEqual([202, 'true', 'running'])
  expect((await fleet.ask('other', {}, { 'idempotency-key': 'one' })).body.code).toBe('idempotency_key_reused')
  const replayed = await fleet.call('DELETE', '/v1/jails/gone', undefined, { 'idempotency-key': 'two' })
  expect([replayed.headers.get('idempotency-replayed'), replayed.body.operation.id]).toEqual(['true', ended.id])

  // The jails are the fleet's in all things.
  expect((await fleet.jail('running'))?.addresses).not.toEqual((await fleet.ask('fresh', { host: 'host1' })).body.jail.addresses)
  fleet.host('host2').clear('ensureJail')
  expect(
    await fleet.ended(await fleet.call('POST', `/v1/operations/${(await fleet.jail('failed'))?.lastOperation}/retry`)),
  ).toMatchObject({
    status: 'succeeded',
    attempt: 2,
  })
  for (const name of ['running', 'stopped', 'failed'])
    expect(await fleet.ended(await fleet.call('DELETE', `/v1/jails/${name}`))).toMatchObject({ status: 'succeeded' })
  await until('no drift to be left', async () =>
    (await fleet.call('GET', '/v1/hosts')).body.items.every(({ drift }: { drift: number }) => drift === 0),
  )
  await fleet.stop()
})

test('nothing is accepted until every named host has reported or is forgotten', async ({ redis }) => {
  const hosts = ['host1', 'host2']
  const fleet = await startFleet(redis, { hosts, members: hosts, timing })
  for (const host of hosts) await fleet.ended(await fleet.ask(`on_${host}`, { host }))
  await fleet.stopHost('host2')
  await loseAll(redis, fleet)
  await until('host1 to be taken in', async () => (await recovery(fleet)).hosts[0].state === 'taken')
  expect((await recovery(fleet)).hosts[1]).toEqual({ id: 'host2', state: 'waiting', jails: 0, operations: 0, conflicts: [] })

  const refused = await fleet.ask('fresh')
  expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([503, 'queue_unavailable', '2'])
  expect(refused.body.detail).toContain('host host2 has not reported since Redis lost its records')
  expect((await fleet.call('POST', '/v1/jails/on_host1/stop')).status).toBe(503)
  for (const path of ['/v1/jails', '/v1/jails/on_host1', '/v1/operations', '/v1/hosts', '/v1/worlds', '/v1/events']) {
    const hidden = await fleet.call('GET', path)
    expect([path, hidden.status, hidden.body.code]).toEqual([path, 503, 'queue_unavailable'])
  }
  const { body: readiness } = await fleet.call('GET', '/readyz')
  expect(readiness.reasons).toContain('host host2 has not reported since Redis lost its records')

  expect((await fleet.call('POST', '/v1/hosts/host2/forget')).status).toBe(200)
  expect((await fleet.ask('fresh')).status).toBe(202)

  // Should it come all the same, its jails are its own until somebody says what becomes of them.
  await fleet.startHost('host2')
  const { drifts } = await until('its orphan to be seen', async () => {
    const { body } = await fleet.call('GET', '/v1/hosts/host2')
    return body.drifts?.length === 1 && body
  })
  expect(drifts[0]).toMatchObject({ found: 'orphan', jail: 'on_host2' })
  expect((await fleet.call('POST', '/v1/hosts/host2/adopt')).body.adopted).toEqual(['on_host2'])
  await fleet.stop()
})

test('what a host is in the middle of goes on, and what it had not begun is lost', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing, capacity: { builds: 2 } })
  const gate = makeGate()
  fleet.host().before('ensureRoot', ({ name }) => (name.startsWith('begun') ? gate.wait() : undefined))
  const begun = await fleet.ask('begun', {}, { 'idempotency-key': 'begun' })
  const second = await fleet.ask('begun2')
  await until('both to be at their roots', async () => fleet.host().deeds.length === 2)
  const queued = await fleet.ask('queued')
  // Its worker has taken this one's job, which waits for a slot.
  const batch = await openBatch(redis)
  const taken = await batch.ask('taken')
  await batch.close()
  const { redis: connection, keys } = storeOf(redis)
  const active = `${keys.host('host1')}:host1.batch-build:active`
  await until('the job of the batch to be taken', async () => (await connection.llen(active)) === 1)

  await loseAll(redis, fleet)
  await rebuilt(fleet)
  expect(await fleet.jail('begun')).toMatchObject({ name: 'begun', state: 'building' })
  gate.open()
  expect(await fleet.ended(begun)).toMatchObject({ kind: 'provision', status: 'succeeded', attempt: 1 })
  expect(await fleet.jail('begun')).toMatchObject({ state: 'running' })
  expect((await fleet.ended(second)).status).toBe('succeeded')
  expect(fleet.host().deeds.filter((deed) => deed === 'ensureRoot begun')).toHaveLength(1)
  // A jail that is asked for now gets its slot only after what had waited for one.
  expect((await fleet.ended(await fleet.ask('fresh'))).status).toBe('succeeded')
  for (const lost of [queued.body.operation.id, taken.operation.id])
    expect((await fleet.call('GET', `/v1/operations/${lost}`)).status).toBe(404)
  expect(fleet.host().state().roots).toEqual(['begun', 'begun2', 'fresh'])
  expect((await fleet.ended(await fleet.ask('queued'))).status).toBe('succeeded')
  await fleet.stop()
})

test('what a worker that was stopped meanwhile had begun gets a new job', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  const gate = makeGate()
  fleet.host().before('ensureRoot', gate.wait)
  const begun = await fleet.ask('begun')
  await fleet.host().begins('ensureRoot begun')
  const stopped = fleet.stopHost()
  gate.open()
  await stopped
  expect(fleet.host().state()).toEqual({ roots: ['begun'], networks: [], jails: [] })

  await loseAll(redis, fleet)
  await fleet.startHost('host1')
  await rebuilt(fleet)
  expect(await fleet.ended(begun)).toMatchObject({ kind: 'provision', status: 'succeeded', attempt: 1 })
  expect(await fleet.jail('begun')).toMatchObject({ state: 'running' })
  await fleet.stop()
})

test("of two jails with one address the later one is the fleet's, and the other one an orphan", async ({ redis }) => {
  const hosts = ['host1', 'host2']
  const pools = [{ name: 'shared', cidr: '10.99.7.0/24', gateway: '10.99.7.1', exclude: [] }]
  // Both must be in time, however busy this computer is: one that comes late has its jails as orphans.
  const fleet = await startFleet(redis, { hosts, pools, timing: scaledTiming(0.4) })
  const addresses = ['10.99.7.9']
  await fleet.ended(await fleet.ask('earlier', { host: 'host1', addresses }))
  await fleet.ended(await fleet.ask('same', { host: 'host1' }))
  await fleet.stopHost('host1')
  await fleet.hostIs('host1', 'down')
  await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })
  await fleet.ended(await fleet.ask('later', { host: 'host2', addresses }))
  await fleet.ended(await fleet.ask('same', { host: 'host2' }))
  await fleet.startHost('host1')
  await until('both hosts to be up', async () => (await fleet.call('GET', '/v1/hosts')).body.items.length === 2)

  await loseAll(redis, fleet)
  const now = await rebuilt(fleet)
  expect(now.hosts[1]).toEqual({ id: 'host2', state: 'taken', jails: 2, operations: 2, conflicts: [] })
  const conflicts = now.hosts[0].conflicts.sort((a: { jail: string }, b: { jail: string }) => (a.jail < b.jail ? -1 : 1))
  expect(conflicts).toEqual([
    { jail: 'earlier', detail: 'Its address 10.99.7.9 is leased to later.' },
    { jail: 'same', detail: 'The fleet has another jail called same, on host host2.' },
  ])
  expect((await jailsOf(fleet)).map(({ name, host }) => [name, host])).toEqual([
    ['later', 'host2'],
    ['same', 'host2'],
  ])
  await until('the orphans to be seen', async () => {
    const { drifts } = (await fleet.call('GET', '/v1/hosts/host1')).body
    return (
      drifts.map(({ jail, found }: { jail: string; found: string }) => `${found} ${jail}`).join() === 'orphan earlier,orphan same'
    )
  })
  expect(fleet.host('host1').state().jails).toEqual(['earlier', 'same'])
  await fleet.stop()
})

test('an upload that its worker did not end is not taken in, and is made anew', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  for (const name of ['web1', 'web2']) await fleet.ended(await fleet.ask(name))
  const before = await jailsOf(fleet)
  await fleet.stopHost()
  await loseAll(redis, fleet)

  const { fleet: id } = await recovery(fleet)
  const { redis: connection, keys } = storeOf(redis)
  const half = { id: crypto.randomUUID(), fleet: id, jails: 2, operations: 2, epoch: 4, isComplete: false }
  await connection.set(keys.hostUpload('host1'), JSON.stringify(half))
  await connection.rpush(keys.hostJournal('host1'), 'what nobody may read')
  await writeHost(connection, keys, hostReport('host1'))
  await writeBeat(connection, keys, 'host1', { fleet: 'the one that was lost' })
  // Hosts are not shown meanwhile, but can be drained.
  await until('the host to be up', async () => (await fleet.call('POST', '/v1/hosts/host1/undrain')).body.host?.state === 'up')
  const { body } = await fleet.call('POST', '/v1/recover')
  expect([body.state, body.hosts]).toEqual([
    'recovering',
    [{ id: 'host1', state: 'uploading', jails: 2, operations: 2, conflicts: [] }],
  ])
  await connection.del(keys.hostAlive('host1'))

  await fleet.startHost('host1')
  expect((await rebuilt(fleet)).hosts).toEqual([{ id: 'host1', state: 'taken', jails: 2, operations: 2, conflicts: [] }])
  expect(await jailsOf(fleet)).toEqual(before.map((jail) => ({ ...jail, isolation: expect.anything(), jid: expect.any(Number) })))
  await until(
    'the upload to be removed',
    async () => (await connection.exists(keys.hostUpload('host1'), keys.hostJournal('host1'))) === 0,
  )

  // Killed once it was taken in and before it knew: it uploads once more, and nothing is counted twice.
  const once = { jails: await jailsOf(fleet), ledger: await ledger(redis, ['host1']) }
  await fleet.stopHost()
  await writeFile(join(fleet.host().root, 'host', 'journal', 'fleet'), '{"fleet":"the one that was lost"}\n')
  const taken = await connection.hget(keys.fleetHosts, 'host1')
  await fleet.startHost('host1')
  await until('it to be taken in again', async () => (await connection.hget(keys.fleetHosts, 'host1')) !== taken)
  expect({ jails: await jailsOf(fleet), ledger: await ledger(redis, ['host1']) }).toEqual({
    ...once,
    jails: once.jails.map((jail) => ({ ...jail, isolation: expect.anything() })),
  })
  await fleet.stop()
})

test('a fleet that never had records has lost none', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing, members: ['host1'] })
  expect(await recovery(fleet)).toEqual({
    fleet: expect.any(String),
    state: 'normal',
    hosts: [{ id: 'host1', state: 'taken', jails: 0, operations: 0, conflicts: [] }],
    lost: null,
  })
  await fleet.stop()
})

test('the first start of a new fleet says nothing of a loss, while it waits for its hosts and after', async ({ redis }) => {
  const lines: { msg: string; level: number }[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const producer = await startTestProducer(redis, timing, { hosts: ['host1'], logger })
  const reasons = await (await fetch(`${producer.url}/readyz`)).text()
  const fleet = await startFleet(redis, { timing, members: ['host1'] })
  await until('it to be ready', async () => (await fetch(`${producer.url}/readyz`)).status === 200)
  // One more look, in which it would notice that nothing is waited for any more.
  await fetch(`${producer.url}/v1/recover`, { method: 'POST', headers: { authorization: `Bearer ${fleet.apiKey}` } })
  expect(lines.map(({ msg }) => msg).filter((msg) => /rebuilt|lost/i.test(msg))).toEqual([])
  expect(reasons).not.toMatch(/lost/i)
  await producer.stop()
  await fleet.stop()
})

test('nothing is admitted between the loss and its notice', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  await fleet.ended(await fleet.ask('web1'))
  const before = (await recovery(fleet)).fleet
  await removeKeys(redis.url, redis.prefix)
  const answers = new Set<number>()
  for (let i = 0; ; i += 1) {
    const statuses = [(await fleet.ask(`fresh${i}`)).status, (await fleet.call('POST', '/v1/jails/web1/stop')).status]
    const now = await recovery(fleet)
    if (now.fleet !== before && now.state === 'normal') break
    for (const status of statuses) answers.add(status)
  }
  expect([...answers]).toEqual([503])
  await until('the jail to be shown', async () => (await fleet.call('GET', '/v1/jails/web1')).body.name === 'web1')
  await fleet.stop()
})

test('a Redis that comes back with nothing is filled again', async ({ skip, onTestFinished }) => {
  const { redis, start, end } = await ownRedis({ skip, onTestFinished })
  const fleet = await startFleet(redis, { timing })
  await fleet.ended(await fleet.ask('web1'))
  const before = await jailsOf(fleet)
  await end()
  start()
  // Its host may need longer than others are waited for.
  await until('its jail to be back', async () => (await fleet.call('GET', '/v1/jails')).body.items?.length > 0)
  await rebuilt(fleet)
  expect(await jailsOf(fleet)).toEqual(before)
  expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))).status).toBe('succeeded')
  await fleet.stop()
})
