import { pino } from 'pino'
import { expect } from 'vitest'
import { backgroundWork } from '#shared/process/repeat.ts'
import { connectRedis, waitForEver } from '#shared/redis/connect-redis.ts'
import type { JailReport, OperationReport } from '#shared/report.ts'
import { followReports } from '../../../producer/reports/follow-reports.ts'
import type { Fleet } from '../../support/fleets/fleet.ts'
import { test as base } from '../../support/fleets/fleet-test.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import type { TestRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const log = pino({ level: 'silent' })
const abandoned = 300

/** A restart of `web1` that its worker has ended, and a person at the host right after it; no producer has heard of either. */
const test = base.extend<{ unheard: Awaited<ReturnType<typeof makeUnheard>> }>({
  unheard: async ({ fleet, redis }, use) => {
    const unheard = await makeUnheard(fleet, redis)
    await use(unheard)
    await unheard.stop()
  },
})

async function makeUnheard(fleet: Fleet, at: TestRedis) {
  await fleet.ended(await fleet.ask('web1'))
  await fleet.stopHost()
  const asked = await fleet.call('POST', '/v1/jails/web1/restart')
  await fleet.stopProducer()

  const reader = connectRedis(at.url, waitForEver)
  const store = storeOf(at)
  const { redis, keys, records } = store
  const { id, epoch } = (await records.operation(asked.body.operation.id)) ?? { id: '', epoch: 0 }
  const common = { host: 'host1', jail: 'web1', epoch }
  const report = (sequence: number, more: Partial<OperationReport>): OperationReport => ({
    ...{ ...common, type: 'operation', operation: id, attempt: 1, sequence, at: new Date().toISOString() },
    ...{ status: 'running', percent: sequence, step: null, steps: [], jailState: 'stopping', jid: null, ...more },
  })
  const stopped: JailReport = { ...common, type: 'jail', at: new Date().toISOString(), jailState: 'stopped', jid: null }
  const say = (said: OperationReport | JailReport) => redis.xadd(keys.reports, '*', 'report', JSON.stringify(said))
  let reports: ReturnType<typeof followReports> | undefined
  return {
    redis,
    keys,
    jail: () => records.jail('web1'),
    async sayRestarted(): Promise<void> {
      for (const sequence of [1, 2, 3]) await say(report(sequence, { jailState: 'starting' }))
      await say(report(4, { status: 'succeeded', jailState: 'running', jid: 7 }))
    },
    sayStopped: () => say(stopped),
    follow(): void {
      const metrics = { ended: () => undefined }
      reports = followReports({ ...store, ...backgroundWork(log, () => undefined), reader, log, metrics, timing: { abandoned } })
    },
    allHeard: () => until('all reports to be applied', async () => (await redis.xlen(keys.reports)) === 0),
    stop: async () => reports?.stop(),
  }
}

test('what is said of one jail is applied in the order it was said', async ({ unheard }) => {
  await unheard.sayRestarted()
  await unheard.sayStopped()
  unheard.follow()
  await unheard.allHeard()
  expect(await unheard.jail()).toMatchObject({ state: 'stopped', jid: null })
})

test('how a jail stands after an operation counts, too, when its end was with a producer that was killed', async ({
  unheard,
}) => {
  const { redis, keys } = unheard
  await unheard.sayRestarted()
  await redis.xreadgroup('GROUP', 'producers', 'killed', 'COUNT', 10, 'STREAMS', keys.reports, '>')
  await unheard.sayStopped()
  unheard.follow()
  await unheard.allHeard()
  expect(await unheard.jail()).toMatchObject({ state: 'stopped', jid: null })
})
