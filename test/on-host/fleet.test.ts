import { describe, expect } from 'vitest'
import { hasEnded, type Operation } from '#shared/operation.ts'
import { type NamespaceFleet, startNamespaceFleet } from '../support/fleets/namespace-fleet.ts'
import { whyNoLinuxJails } from '../support/hosts/host-fitness.ts'
import type { HostSnapshot } from '../support/hosts/host-snapshot.ts'
import { test as withRedis } from '../support/redis/redis-test.ts'
import { until } from '../support/until.ts'

const busybox = { world: 'busybox' }
const runc = ['runc', '/usr/sbin/runc', '*" run "*'] as const
const overlay = ['perl', '/usr/bin/perl', '*/mount-root.pl*/jails/web*'] as const
/** Of a host: as many can be bound to it at once. */
const startSlots = 2
const nothing: HostSnapshot = { mounts: [], links: [], filters: [], namespaces: [], cgroups: [], directories: [], processes: [] }

/** `test` with three hosts, of which nothing is left afterwards, however it ended. */
const test = withRedis.extend<{ fleet: NamespaceFleet }>({
  fleet: async ({ redis }, use) => {
    const fleet = await startNamespaceFleet(redis, ['host1', 'host2', 'host3'])
    await use(fleet)
    expect(await fleet.remove()).toEqual([nothing, nothing, nothing])
  },
})

describe.skipIf(whyNoLinuxJails())('in a fleet', () => {
  test('what a killed worker had not begun runs elsewhere, and what it had goes on with its return', async ({ fleet }) => {
    const before = snapshots(fleet)
    const gate = await fleet.gate('host1', ...runc)
    const names = await askFor(fleet, 30)
    await gate.reached()
    await fleet.end('host1', 'SIGKILL')
    await fleet.hostIs('host1', 'down')
    const bound = await untilMoved(fleet)
    expect(bound.map(({ waiting }) => waiting)).toEqual(bound.map(() => ({ reason: 'host host1 is down' })))

    await gate.open()
    fleet.start('host1')
    await untilAllRun(fleet, names)
    await untilNothingMovedIsLeft(fleet)
    await destroyAll(fleet, names)
    expect(snapshots(fleet)).toEqual(before)
  })

  test('a worker that wakes up late runs nothing of what was moved meanwhile', async ({ fleet }) => {
    const before = snapshots(fleet)
    const [building, starting] = [await fleet.gate('host1', ...overlay), await fleet.gate('host1', ...runc)]
    // A worker looks for each program once, and this one has mounted something.
    await fleet.end('host1', 'SIGTERM')
    await fleet.hostIs('host1', 'down')
    fleet.start('host1')
    await fleet.hostIs('host1', 'up')
    const names = await askFor(fleet, 9)
    await building.reached()
    expect(fleet.signal('host1', 'SIGSTOP')).toBe(true)
    await fleet.hostIs('host1', 'down')
    await untilAllRun(fleet, names)
    expect((await movedOf(fleet)).length).toBeGreaterThan(0)

    await building.open()
    fleet.signal('host1', 'SIGCONT')
    await fleet.hostIs('host1', 'up')
    await untilNothingMovedIsLeft(fleet)
    expect(starting.wasReached()).toBe(false)
    await starting.open()
    await destroyAll(fleet, names)
    expect(snapshots(fleet)).toEqual(before)
  })

  test('a host that nobody hears of keeps what it is at, and loses the rest', async ({ fleet }) => {
    const before = snapshots(fleet)
    const gate = await fleet.gate('host1', ...runc)
    const names = await askFor(fleet, 15)
    await gate.reached()
    fleet.host('host1').proxy.silence()
    await fleet.hostIs('host1', 'down')
    const bound = await untilMoved(fleet)
    expect(bound.map(({ waiting }) => waiting)).toEqual(bound.map(() => ({ reason: 'host host1 is down' })))

    await gate.open()
    fleet.host('host1').proxy.pass()
    await untilAllRun(fleet, names)
    await untilNothingMovedIsLeft(fleet)
    await destroyAll(fleet, names)
    expect(snapshots(fleet)).toEqual(before)
  })
})

async function askFor(fleet: NamespaceFleet, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `web${i + 10}`)
  // One after another: those asked for at once all see the same host as the emptiest.
  for (const name of names) expect((await fleet.ask(name, busybox)).status).toBe(202)
  return names
}

const provisions = async (fleet: NamespaceFleet): Promise<Operation[]> =>
  (await fleet.operations()).filter(({ kind }) => kind === 'provision')

const movedOf = async (fleet: NamespaceFleet) => (await provisions(fleet)).filter(({ moves }) => moves)

/** Waits until nothing is left to do but what is bound to the host that is down, and returns that. */
function untilMoved(fleet: NamespaceFleet): Promise<Operation[]> {
  return until('what is not bound to run elsewhere', async () => {
    const open = (await provisions(fleet)).filter(({ status }) => !hasEnded(status))
    const isBoundOnly = open.length > 0 && open.length <= startSlots && open.every(({ host }) => host === 'host1')
    return isBoundOnly && open
  })
}

/** Every jail asked for runs once in the fleet, with its own address, as records say and the hosts show. */
async function untilAllRun(fleet: NamespaceFleet, names: string[]): Promise<void> {
  const operations = await until('all to have ended', async () => {
    const all = await provisions(fleet)
    return all.every(({ status }) => hasEnded(status)) && all
  })
  expect(operations.filter(({ status }) => status !== 'succeeded')).toEqual([])
  const { items } = (await fleet.call('GET', '/v1/jails?limit=500')).body
  const jails = items as { name: string; host: string; state: string; addresses: string[] }[]
  expect(jails.filter(({ state }) => state !== 'running')).toEqual([])
  const wanted = jails.map(({ name, host, addresses }) => [name, host, addresses[0]]).sort()
  expect(wanted.map(([name]) => name)).toEqual(names)
  expect(new Set(wanted.map(([, , address]) => address)).size).toBe(names.length)
  await until('the hosts to show the same', async () => {
    const shown = fleet.hosts().flatMap((host) => [...host.addresses()].map(([jail, address]) => [jail, host.name, address]))
    return JSON.stringify(shown.sort()) === JSON.stringify(wanted)
  })
  expect(
    fleet
      .hosts()
      .flatMap((host) => host.running())
      .sort(),
  ).toEqual(names)

  for (const { host, moves } of await movedOf(fleet))
    expect(moves).toEqual([
      { at: expect.any(String), from: 'host1', to: host, epoch: expect.any(Number), reason: 'host host1 is down' },
    ])
}

async function untilNothingMovedIsLeft(fleet: NamespaceFleet): Promise<void> {
  const moved = await movedOf(fleet)
  expect(moved.length).toBeGreaterThan(0)
  const isOfMoved = (line: string) => moved.some(({ jail }) => new RegExp(`/${jail}\\b`).test(line))
  await until('nothing of what was moved to be left on its first host', async () => {
    const lines = Object.values(fleet.host('host1').snapshot()).flat()
    return !lines.some(isOfMoved)
  })
}

async function destroyAll(fleet: NamespaceFleet, names: string[]): Promise<void> {
  const answers = await Promise.all(names.map((name) => fleet.call('DELETE', `/v1/jails/${name}`)))
  const ends = await Promise.all(answers.map((answer) => fleet.ended(answer)))
  expect(ends.filter(({ status }) => status !== 'succeeded')).toEqual([])
}

/** Without the workers, which are others after their return. */
function snapshots(fleet: NamespaceFleet): HostSnapshot[] {
  return fleet.hosts().map((host) => host.snapshot())
}
