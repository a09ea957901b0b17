import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JailReport } from '#shared/report.ts'
import { makeJailLocks } from '../../../worker/jails/jail-locks.ts'
import { reviveJails, settledJails } from '../../../worker/jails/revive-jails.ts'
import { openJournal } from '../../../worker/journal/journal.ts'
import type { WorldStore } from '../../../worker/worlds/world-store.ts'
import { simulatedHost } from '../../support/hosts/simulated-host.ts'
import { makeJob, makeReport, silent } from '../samples.ts'

test('jails are brought up after a boot without Redis, which is told of them in their order when it is back', async () => {
  const simulated = await simulatedHost()
  const journal = await openJournal(join(simulated.root, 'journal'), silent)
  const job = makeJob()
  const { jail, epoch, operation } = job
  const { signal } = new AbortController()
  await simulated.host.ensureRoot(jail, signal)
  await journal.beginRun(job, 'boot-1')
  await journal.end(makeReport({ operation, epoch, jail: jail.name, jailState: 'running' }))
  const told: JailReport[] = []
  const back = Promise.withResolvers<void>()
  const down = await reviveJails(settledJails(journal), {
    ...{
      host: simulated.host,
      journal,
      withJail: makeJailLocks(),
      hostId: 'host1',
      log: silent,
      stopping: signal,
      overdueMs: 10_000,
    },
    worlds: {} as WorldStore,
    send: async (report) => {
      told.push(report)
      await back.promise
    },
  })
  expect(down).toEqual([])
  expect(simulated.state().jails).toEqual([jail.name])
  expect(told.map(({ jailState }) => jailState)).toEqual(['stopped', 'running'])
  back.resolve()
  await simulated.remove()
})
