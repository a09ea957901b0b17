import { setTimeout as sleep } from 'node:timers/promises'
import type { Scene } from './play.ts'
import { hostNames, producerNames } from './schedule.ts'

const quietWithinMs = 60_000
const lookMs = 100

/** Until every host and every producer is there, whatever it takes to start them. */
export async function untilUp(scene: Scene): Promise<void> {
  await pollFor('all hosts to be up', async () => {
    scene.fleet.processes.startAll()
    const { body } = await scene.client.call('GET', '/v1/hosts')
    const up = (body.items ?? []).filter((host: any) => host.state === 'up' && host.worlds[0]?.state === 'ready')
    return up.length === hostNames.length
  })
}

/**
 * Takes all faults away and waits until nothing is under way any more. What hosts have of their jails while they were given
 * up is adopted or cleaned. Does not judge: what hangs is left hanging.
 */
export async function settle(scene: Scene): Promise<void> {
  const { fleet, client } = scene
  for (const name of [...hostNames, ...producerNames]) {
    fleet.proxyOf(name).pass()
    fleet.processes.signal(name, 'SIGCONT')
  }
  for (const host of hostNames) fleet.setControl(host, { slowMs: 0 })
  fleet.processes.startAll()
  await untilUp(scene).catch(() => undefined)
  for (const host of hostNames) await client.call('POST', `/v1/hosts/${host}/undrain`)
  await pollFor('rest', async () => {
    fleet.processes.startAll()
    await resolveOrphans(scene)
    return (await underWay(scene)) === 0
  }).catch(() => undefined)
  await startAgainWhereSomethingIsLeft(scene)
}

async function underWay({ fleet: { redis, keys } }: Scene): Promise<number> {
  const counts = await Promise.all([
    redis.zcard(keys.operations('status', 'queued')),
    redis.zcard(keys.operations('status', 'running')),
    redis.zcard(keys.wakeups),
    redis.xlen(keys.reports),
  ])
  return counts.reduce((sum, count) => sum + count, 0)
}

async function resolveOrphans({ fleet: { redis, keys }, client, ledger, forgotten }: Scene): Promise<void> {
  for (const [host, then] of forgotten) {
    const entries = await redis.hvals(keys.hostDrift(host))
    if (!entries.some((text) => JSON.parse(text).found === 'orphan')) continue
    if (then === 'adopt') {
      await client.call('POST', `/v1/hosts/${host}/adopt`)
      // What could not be adopted is cleaned.
      forgotten.set(host, 'clean')
      continue
    }
    const { body } = await client.call('POST', `/v1/hosts/${host}/clean`)
    for (const operation of body.operations ?? []) ledger.unkeyed.add(operation.id)
    // A clean whose answer was lost made operations, too.
    for (const id of await redis.zrange(keys.operations(), '0', '-1'))
      if (await redis.hexists(keys.operation(id), 'orphan')) ledger.unkeyed.add(id)
  }
}

/** What an undo could not take away is taken away at the next start of its worker. */
async function startAgainWhereSomethingIsLeft({ fleet }: Scene): Promise<void> {
  for (const host of hostNames) {
    if (
      !fleet
        .filesOf(host)
        .readJournal()
        .some(({ wanted }) => wanted === 'gone')
    )
      continue
    await fleet.processes.kill(host)
    fleet.processes.start(host)
  }
}

async function pollFor(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + quietWithinMs
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${what}.`)
    await sleep(lookMs)
  }
}
