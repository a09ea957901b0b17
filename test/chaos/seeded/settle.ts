import { setTimeout as sleep } from 'node:timers/promises'
import { isUp } from '../../support/fleets/client.ts'
import { until } from '../../support/until.ts'
import type { Scene } from './play.ts'
import { hostNames, producerNames } from './schedule.ts'

const upWithinMs = 60_000
const lookMs = 100
/** Longer than anything that is waited for at the pace of these trials. What has not changed for so long hangs. */
const hangsMs = 10_000

/** Until every host and every producer is there, whatever it takes to start them. */
export async function untilUp(scene: Scene): Promise<void> {
  const areUp = async () => {
    scene.fleet.processes.startAll()
    const { body } = await scene.client.call('GET', '/v1/hosts')
    return (body.items ?? []).filter(isUp).length === hostNames.length
  }
  await until('all hosts to be up', areUp, upWithinMs, lookMs)
}

/**
 * Takes all faults away and waits until nothing is under way any more. What hosts have of their jails while they were given
 * up is adopted or cleaned. Does not judge: says whether all came to rest, and leaves hanging what hangs.
 */
export async function settle(scene: Scene): Promise<boolean> {
  const { fleet, client } = scene
  for (const name of [...hostNames, ...producerNames]) {
    fleet.proxyOf(name).pass()
    fleet.processes.signal(name, 'SIGCONT')
  }
  for (const host of hostNames) fleet.setControl(host, { slowMs: 0 })
  fleet.processes.startAll()
  await untilUp(scene).catch(() => undefined)
  for (const host of hostNames) await client.call('POST', `/v1/hosts/${host}/undrain`)
  // Some of a batch's rows may have no place as long as other jails are there.
  for (const id of await fleet.redis.zrange(fleet.keys.batches('open'), '0', '-1'))
    await client.call('POST', `/v1/batches/${id}/cancel`, { running: 'finish' })
  const isAtRest = await untilRest(scene)
  await retryLeftovers(scene)
  return isAtRest
}

/** Whether nothing is under way any more; false once nothing has changed for long. */
async function untilRest(scene: Scene): Promise<boolean> {
  let last = ''
  let changedMs = Date.now()
  while (Date.now() - changedMs < hangsMs) {
    scene.fleet.processes.startAll()
    await resolveOrphans(scene)
    const { underWay, progress } = await look(scene)
    if (underWay === 0) return true
    if (progress !== last) changedMs = Date.now()
    last = progress
    await sleep(lookMs)
  }
  return false
}

/** How much is under way, and a text that changes with whatever becomes of it: revisions, deeds of hosts. */
async function look({ fleet }: Scene): Promise<{ underWay: number; progress: string }> {
  const { redis, keys } = fleet
  const lists = await Promise.all(
    ['queued', 'running'].map((status) => redis.zrange(keys.operations('status', status), '0', '-1')),
  )
  const operations = lists.flat()
  const waiting = await Promise.all([redis.zcard(keys.wakeups), redis.xlen(keys.reports), redis.zcard(keys.batches('open'))])
  const revisions = await Promise.all(operations.map((id) => redis.hget(keys.operation(id), 'revision')))
  const deeds = hostNames.map((host) => fleet.filesOf(host).deedsSize())
  return {
    underWay: waiting.reduce((sum, count) => sum + count, operations.length),
    progress: [...operations, ...waiting, ...revisions, ...deeds].join(),
  }
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

/** What an undo could not remove is tried again now, as a person would ask, not when its turn is. */
async function retryLeftovers({ fleet, client }: Scene): Promise<void> {
  for (const host of hostNames)
    if (
      fleet
        .filesOf(host)
        .readJournal()
        .some(({ leftovers = [] }) => leftovers.length > 0)
    )
      await client.call('POST', `/v1/hosts/${host}/leftovers/retry`)
}
