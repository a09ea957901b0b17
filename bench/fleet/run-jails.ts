import type { StepState } from '#shared/operation.ts'
import { until } from '../../test/support/until.ts'
import type { Admitted, BenchFleet } from './open-fleet.ts'

const reportsAtOnce = 500
const withinMs = 600_000
const stepNames = ['fill-world', 'clone-root', 'attach-network', 'start-jail', 'run-command', 'prove-isolation']

/** Reports all jails as running, as their workers would. Returns the seconds until the producer has applied the reports. */
export async function runJails({ redis, keys }: BenchFleet, admitted: Admitted[]): Promise<number> {
  const started = performance.now()
  for (let from = 0; from < admitted.length; from += reportsAtOnce) {
    const pipeline = redis.pipeline()
    for (const each of admitted.slice(from, from + reportsAtOnce)) pipeline.xadd(keys.reports, '*', 'report', reportOf(each))
    await pipeline.exec()
    await until('reports to be applied', async () => (await redis.xlen(keys.reports)) < 2 * reportsAtOnce, withinMs)
  }
  await until('all reports to be applied', async () => (await redis.xlen(keys.reports)) === 0, withinMs)
  return (performance.now() - started) / 1_000
}

function reportOf({ jail, operation }: Admitted): string {
  const at = new Date().toISOString()
  const steps: StepState[] = stepNames.map((name) => ({
    name,
    title: name,
    status: 'succeeded',
    startedAt: at,
    finishedAt: at,
    attempt: 1,
  }))
  return JSON.stringify({
    type: 'operation',
    host: jail.host,
    operation: operation.id,
    epoch: jail.epoch,
    attempt: 1,
    sequence: 1,
    at,
    status: 'succeeded',
    percent: 100,
    step: null,
    steps,
    jail: jail.name,
    jailState: 'running',
    jid: 1,
  })
}
