import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { JailReport } from '#shared/report.ts'
import { makeJailLocks } from '../../../worker/jails/jail-locks.ts'
import { reviveJails, settledJails } from '../../../worker/jails/revive-jails.ts'
import { openJournal } from '../../../worker/journal/journal.ts'
import type { WorldStore } from '../../../worker/worlds/world-store.ts'
import { simulatedHost } from '../../support/hosts/simulated-host.ts'
import { makeJob, makeReport, silent } from '../samples.ts'

const { signal } = new AbortController()

/** A host that was booted with one jail that is to run, and what revives it. */
async function booted() {
  const simulated = await simulatedHost()
  const journal = await openJournal(join(simulated.root, 'journal'), silent)
  const job = makeJob()
  const { jail, epoch, operation } = job
  await simulated.host.ensureRoot(jail, signal)
  await journal.beginRun(job, 'boot-1')
  await journal.end(makeReport({ operation, epoch, jail: jail.name, jailState: 'running' }))
  const withJail = makeJailLocks()
  const told: JailReport[] = []
  const revive = (answered: Promise<void> = Promise.resolve()) =>
    reviveJails(settledJails(journal), {
      ...{ host: simulated.host, journal, withJail, hostId: 'host1', log: silent, stopping: signal, overdueMs: 10_000 },
      worlds: {} as WorldStore,
      send: async (report) => {
        told.push(report)
        await answered
      },
    })
  return { ...simulated, jail, withJail, told, revive }
}

test('jails are brought up after a boot without Redis, which is told of them in their order when it is back', async () => {
  const trial = await booted()
  const back = Promise.withResolvers<void>()
  expect(await trial.revive(back.promise)).toEqual([])
  expect(trial.state().jails).toEqual([trial.jail.name])
  expect(trial.told.map(({ jailState }) => jailState)).toEqual(['stopped', 'running'])
  back.resolve()
  await trial.remove()
})

test('a jail is brought up after a job that ended its revival and changed nothing', async () => {
  const trial = await booted()
  const { name } = trial.jail
  trial.before('ensureJail', async (_jail, signal) => {
    trial.clear('ensureJail')
    await sleep(60_000, undefined, { signal })
  })
  const revived = trial.revive()
  await trial.begins(`ensureJail ${name}`)
  await trial.withJail(name, async () => expect(trial.state().jails).toEqual([]), { comes: new Error('a job that comes twice') })
  expect(await revived).toEqual([])
  expect(trial.state().jails).toEqual([name])
  expect(trial.told.map(({ jailState }) => jailState)).toEqual(['stopped', 'running'])
  await trial.remove()
})
