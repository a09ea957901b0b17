import { join } from 'node:path'
import { pino } from 'pino'
import { test as base, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import type { Leftover } from '#shared/host.ts'
import { repeat } from '#shared/process/repeat.ts'
import { makeJailLocks } from '../../../worker/jails/jail-locks.ts'
import { retryLeftovers } from '../../../worker/jails/retry-leftovers.ts'
import { openJournal } from '../../../worker/journal/journal.ts'
import { simulatedHost } from '../../support/hosts/simulated-host.ts'
import { until } from '../../support/until.ts'
import { makeJob, makeReport, silent } from '../samples.ts'

const job = makeJob()
const minute = 60_000

/** Opens a host on which a provision left its root a while ago, with notes. */
async function open() {
  const simulated = await simulatedHost()
  const journal = await openJournal(join(simulated.root, 'journal'), silent)
  await journal.mark(await journal.beginRun(job, 'boot-1'), [{ step: 'clone-root', mark: 'undo-failed', attempt: 1 }])
  const error = { code: 'command_failed', message: 'busy', hint: '', step: null }
  const at = new Date(Date.now() - minute).toISOString()
  await journal.end(makeReport({ at, percent: 0, status: 'failed', jailState: 'failed', error }))
  const entries = new Map<string, Leftover>()
  const notes = {
    open: async () => undefined,
    writeAgain: async () => undefined,
    entries: () => entries,
    note: async (entry: Leftover) => void entries.set(entry.jail, entry),
    forget: async (jail: string) => void entries.delete(jail),
  }
  const start = () =>
    retryLeftovers({
      host: simulated.host,
      journal,
      notes,
      log: pino({ level: 'silent' }),
      withJail: makeJailLocks(),
      delays: { firstMs: minute, mostMs: 4 * minute },
      repeat: (name, _everyMs, work) => repeat(name, 2 ** 30, work),
    })
  return { ...simulated, journal, entries, start }
}

type Trial = Awaited<ReturnType<typeof open>>
const test = base.extend<{ trial: Trial }>({
  trial: async ({ task: _ }, use) => {
    const trial = await open()
    await use(trial)
    await trial.remove()
  },
})

/** Returns how long after a try the next one is, in minutes. */
async function waitAfterTry(trial: Trial, attempts: number): Promise<number> {
  const before = Date.now()
  const tries = trial.start()
  await tries.tryAll()
  const { nextTryAt } = await until('the try', async () => {
    const entry = trial.entries.get('web1')
    return entry?.attempts === attempts && entry.lastError === 'still busy' && entry
  })
  tries.stop()
  return Math.floor((Date.parse(nextTryAt) - before) / minute)
}

test('each try that fails makes the wait for the next one twice as long, up to a limit', async ({ trial }) => {
  trial.before('removeRoot', () => {
    throw new ProvostError('command_failed', 'still busy')
  })
  const waits = []
  // Each time as a worker that has just started.
  for (const attempts of [1, 2, 3]) waits.push(await waitAfterTry(trial, attempts))
  expect(waits).toEqual([2, 4, 4])
})

test('a try is counted before it is made, so that one which kills the worker is not made at each start', async ({ trial }) => {
  let counted: number | undefined
  trial.before('removeJail', () => {
    counted = trial.entries.get('web1')?.attempts
  })
  const tries = trial.start()
  await tries.lookNow()
  await until('nothing to be left', async () => trial.journal.jails().length === 0 && trial.entries.size === 0)
  expect(counted).toBe(1)
  tries.stop()
})

test('nothing is tried while an operation runs on the jail, or before its time', async ({ trial }) => {
  const tries = trial.start()
  trial.entries.set('web1', {
    ...{ jail: 'web1', steps: ['clone-root'], since: new Date().toISOString(), attempts: 3, lastError: 'busy' },
    nextTryAt: new Date(Date.now() + minute).toISOString(),
  })
  await tries.lookNow()
  await trial.journal.beginRun({ ...job, epoch: 6, attempt: 2 }, 'boot-1')
  await tries.tryAll()
  expect(trial.deeds).toEqual([])
  expect(trial.entries.get('web1')?.attempts).toBe(3)
  tries.stop()
})
