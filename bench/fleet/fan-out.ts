import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Jail } from '#shared/jail.ts'
import { openQueues } from '../../producer/queues/enqueue.ts'
import type { JailRecord } from '../../producer/records/jails/jail-record.ts'
import { newOperation } from '../../producer/records/operations/operation-changes.ts'
import { makeSecrets } from '../../producer/secrets/secrets.ts'
import { timed } from '../figures.ts'
import type { BenchFleet } from './open-fleet.ts'

const settleMs = 3_000

/** Enqueues a job for every host in each round. Returns the milliseconds until each host's worker has processed its own. */
export async function fanOut({ redis, redisUrl, keys, ids }: BenchFleet, jail: Jail, rounds: number): Promise<number[]> {
  const child = fork(new URL('./take-jobs.ts', import.meta.url), [redisUrl, keys.prefix, ...ids])
  await once(child, 'message')
  await pause(settleMs)
  const { enqueue, stop } = openQueues({ redis, keys, secrets: makeSecrets() })
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const all = once(child, 'message')
    const add = async () => {
      await Promise.all(ids.map((host) => enqueue(stopOn(host, jail))))
      await all
    }
    times.push(await timed(add))
  }
  await stop()
  child.kill('SIGKILL')
  await once(child, 'exit')
  return times
}

function stopOn(host: string, { addresses: _, ...jail }: Jail) {
  const record = {
    ...jail,
    host,
    leases: [],
    provision: jail.lastOperation,
    worldDigest: 'd'.repeat(64),
    revision: '1',
  } as JailRecord
  return { jail: record, operation: newOperation({ kind: 'stop', jail: jail.name, host, epoch: jail.epoch }, new Date()) }
}
