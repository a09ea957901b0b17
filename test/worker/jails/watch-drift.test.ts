import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { test as base, describe, expect } from 'vitest'
import type { Drift } from '#shared/host.ts'
import type { CommandState } from '#shared/jail.ts'
import type { JailJob } from '#shared/job.ts'
import { repeat } from '#shared/process/repeat.ts'
import type { JailReport, OperationReport } from '#shared/report.ts'
import { makeJailLocks } from '../../../worker/jails/jail-locks.ts'
import type { SettledJail } from '../../../worker/jails/revive-jails.ts'
import { watchDrift } from '../../../worker/jails/watch-drift.ts'
import { type Journal, openJournal } from '../../../worker/journal/journal.ts'
import { type SimulatedHost, simulatedHost } from '../../support/hosts/simulated-host.ts'
import { until } from '../../support/until.ts'
import { makeJob, makeReport, silent } from '../samples.ts'

const everyMs = 5
const { signal } = new AbortController()
const byHand = 'It was stopped on its host, not through Provost.'

function jobOf(name: string, epoch = 5): JailJob {
  const jail = { ...makeJob().jail, name, hostname: name }
  return makeJob({ operation: `01936c3e-0000-7000-8000-00000000000${epoch}`, epoch, jail })
}

function ended({ operation, jail, epoch }: JailJob, jailState: OperationReport['jailState']): OperationReport {
  return makeReport({ operation, epoch, jail: jail.name, jailState })
}

type Options = Partial<Pick<Parameters<typeof watchDrift>[0], 'send' | 'revived' | 'journal' | 'fleet'>>

/** Opens a host with a real journal, to watch both. */
async function open() {
  const simulated = await simulatedHost()
  const directory = join(simulated.root, 'journal')
  const journal = await openJournal(directory, silent)
  const withJail = makeJailLocks()
  const sent: JailReport[] = []
  const entries = new Map<string, Drift>()
  const stops: (() => Promise<void>)[] = []
  let looks = 0
  const { listJails } = simulated.host
  simulated.host.listJails = () => {
    looks += 1
    return listJails()
  }
  return {
    ...simulated,
    journal,
    withJail,
    sent,
    entries,
    reports: () => sent.map(({ at: _, ...report }) => report),
    reopened: () => openJournal(directory, silent),
    watch: (options: Options = {}) => {
      const drift = {
        note: async (entry: Drift) => void entries.set(entry.jail, entry),
        forget: async (name: string) => void entries.delete(name),
        entries: () => entries,
      }
      const send = async (report: JailReport) => void sent.push(report)
      const { host } = simulated
      const log = pino({ enabled: false })
      const revived: Promise<SettledJail[]> = Promise.resolve([])
      const { stop } = watchDrift({
        hostId: 'host1',
        host,
        journal,
        withJail,
        send,
        drift,
        log,
        revived,
        fleet: () => 'fleet1',
        repeat,
        everyMs,
        ...options,
      })
      stops.push(stop)
      return stop
    },
    /** Waits for so many looks that whatever the present one has seen is handled, too. */
    nextLooks: async () => {
      const after = looks + 3
      await until('three more looks', async () => looks >= after)
    },
    close: async () => {
      for (const stop of stops) await stop()
      await simulated.remove()
    },
  }
}

async function settle({ journal }: { journal: Journal }, job: JailJob, state: OperationReport['jailState']): Promise<void> {
  await journal.beginRun(job, 'boot-1')
  await journal.end(ended(job, state))
}

async function start({ host }: SimulatedHost, { jail }: JailJob): Promise<number> {
  await host.ensureRoot(jail, signal)
  await host.ensureNetwork(jail, signal)
  return host.ensureJail(jail, signal)
}

type Trial = Awaited<ReturnType<typeof open>>
const test = base.extend<{ trial: Trial }>({
  trial: async ({ task: _ }, use) => {
    const trial = await open()
    await use(trial)
    await trial.close()
  },
})

/** Makes a jail that an operation has left running. */
async function running(trial: Trial, name = 'web1'): Promise<JailJob> {
  const job = jobOf(name)
  await start(trial, job)
  await settle(trial, job, 'running')
  return job
}

const noted = (trial: Trial, name = 'web1') => until('a note of its drift', async () => trial.entries.get(name))
const report = { type: 'jail', host: 'host1', jail: 'web1', epoch: 5 }

describe('a jail that is not as its journal has it', () => {
  test('a jail that an operation could not take down is not reported as one that was started by hand', async ({ trial }) => {
    const job = jobOf('web1')
    await start(trial, job)
    const operation = await trial.journal.beginRun(job, 'boot-1')
    await trial.journal.mark(operation, [{ step: 'start-jail', mark: 'undo-failed', attempt: 1 }])
    await trial.journal.end(ended(job, 'stopped'))
    trial.watch()
    await trial.nextLooks()
    expect(trial.reports()).toEqual([])
    expect(trial.journal.jail('web1')?.settled?.wanted).toBe('stopped')
  })

  test.each(['failed', 'destroying', 'stopped'] as const)(
    "the command of a jail that is %s and could not be taken down is nobody's, however it ends",
    async (jailState) => {
      const trial = await open()
      const job = jobOf('web1')
      const jid = await start(trial, job)
      const operation = await trial.journal.beginRun(job, 'boot-1')
      await trial.journal.mark(operation, [{ step: 'start-jail', mark: 'undo-failed', attempt: 1 }])
      await trial.journal.end(ended(job, jailState))
      const at = '2026-01-01T00:00:00.000Z'
      trial.host.commandStateOf = async () => ({ state: 'ended', exitCode: 1, startedAt: at, endedAt: at })
      trial.watch()
      await trial.nextLooks()
      expect(await trial.host.findJail(job.jail)).toEqual({ jid })
      expect([trial.reports(), [...trial.entries]]).toEqual([[], []])
      await trial.close()
    },
  )

  test('was stopped by hand: what is left goes, the fleet gets a report, and no boot starts it', async ({ trial }) => {
    await running(trial)
    trial.watch()
    trial.byHand.stop('web1')
    expect(await noted(trial)).toEqual({ found: 'stopped', jail: 'web1', reason: byHand, since: expect.stringMatching(/Z$/) })
    expect(trial.reports()).toEqual([{ ...report, jailState: 'stopped', jid: null, reason: byHand }])
    expect(trial.state()).toEqual({ roots: ['web1'], networks: [], jails: [] })
    const { since } = trial.entries.get('web1') ?? {}
    const settled = { epoch: 5, wanted: 'stopped', leftovers: [], drift: { found: 'stopped', since } }
    expect((await trial.reopened()).jail('web1')?.settled).toEqual(settled)
    await trial.nextLooks()
    expect(trial.reports()).toHaveLength(1)
  })

  test('has lost its root: it is failed', async ({ trial }) => {
    await running(trial)
    trial.byHand.stop('web1')
    trial.byHand.removeRoot('web1')
    trial.watch()
    const reason = 'Its root is gone from its host.'
    expect(await noted(trial)).toMatchObject({ found: 'gone', reason })
    expect(trial.reports()).toEqual([{ ...report, jailState: 'failed', jid: null, reason }])
    expect((await trial.reopened()).jail('web1')?.settled?.wanted).toBe('stopped')
  })

  test('has lost its link to the network: it runs on with the reason, until the link is there again', async ({ trial }) => {
    await running(trial)
    await running(trial, 'web2')
    trial.watch()
    trial.byHand.removeLink('web1')
    const reason =
      'Its link to the network, or a rule of it, was removed on its host, not through Provost; a restart makes it anew.'
    expect(await noted(trial)).toEqual({ found: 'unlinked', jail: 'web1', reason, since: expect.stringMatching(/Z$/) })
    const { jid } = (await trial.host.findJail(jobOf('web1').jail)) ?? {}
    expect(trial.reports()).toEqual([{ ...report, jailState: 'running', jid, reason }])
    await trial.nextLooks()
    expect(trial.reports()).toHaveLength(1)
    expect(trial.state().jails).toEqual(['web1', 'web2'])
    trial.byHand.addLink('web1')
    await until('its note to go', async () => !trial.entries.has('web1'))
    expect(trial.reports().slice(1)).toEqual([{ ...report, jailState: 'running', jid }])
    expect([...trial.entries]).toEqual([])
  })

  test('has no link while an operation makes one, which is no drift', async ({ trial }) => {
    await running(trial)
    await trial.journal.beginRun(jobOf('web1', 6), 'boot-1')
    trial.byHand.removeLink('web1')
    trial.watch()
    await trial.nextLooks()
    expect([...trial.entries, ...trial.reports()]).toEqual([])
  })

  test('was started by hand: the fleet gets its jid, and the note goes', async ({ trial }) => {
    await running(trial)
    trial.watch()
    trial.byHand.stop('web1')
    await noted(trial)
    trial.byHand.start('web1', 77)
    await until('its note to go', async () => !trial.entries.has('web1'))
    expect(trial.reports().at(-1)).toEqual({ ...report, jailState: 'running', jid: 77 })
    expect((await trial.reopened()).jail('web1')?.settled).toEqual({ epoch: 5, wanted: 'running', leftovers: [] })
  })

  test('runs without its command, which has failed: the fleet gets its exit code, and a note until it runs again', async ({
    trial,
  }) => {
    const job = await running(trial)
    const startedAt = '2026-01-01T00:00:00.000Z'
    let command: CommandState = { state: 'running', exitCode: null, startedAt, endedAt: null }
    trial.host.commandStateOf = async ({ name }) => (name === 'web1' ? command : undefined)
    const jid = (await trial.host.findJail(job.jail))?.jid ?? 0
    trial.watch()
    await trial.nextLooks()
    expect([trial.reports(), trial.entries.size]).toEqual([[], 0])
    command = { state: 'ended', exitCode: 1, startedAt, endedAt: '2026-01-01T00:00:05.000Z' }
    expect(await noted(trial)).toEqual({
      found: 'command-died',
      jail: 'web1',
      reason: 'Its command ended with exit code 1.',
      since: command.endedAt,
    })
    expect(trial.reports()).toEqual([{ ...report, jailState: 'running', jid, commandState: command }])
    await trial.nextLooks()
    expect(trial.reports()).toHaveLength(1)
    command = { state: 'running', exitCode: null, startedAt, endedAt: null }
    await until('its note to go', async () => !trial.entries.has('web1'))
  })

  test('runs without its command, which has ended well: the fleet knows, and it is no drift', async ({ trial }) => {
    await running(trial)
    const at = '2026-01-01T00:00:00.000Z'
    trial.host.commandStateOf = async () => ({ state: 'ended', exitCode: 0, startedAt: at, endedAt: at })
    trial.watch()
    await until('a report', async () => trial.reports().length > 0)
    await trial.nextLooks()
    expect([trial.reports().length, trial.entries.size]).toEqual([1, 0])
  })

  test('is told again to a fleet that has lost its records', async ({ trial }) => {
    await running(trial)
    const at = '2026-01-01T00:00:00.000Z'
    trial.host.commandStateOf = async () => ({ state: 'running', exitCode: null, startedAt: at, endedAt: null })
    let fleet = 'fleet1'
    trial.watch({ fleet: () => fleet })
    await trial.nextLooks()
    expect(trial.reports()).toEqual([])
    fleet = 'fleet2'
    await until('a report', async () => trial.reports().length === 1)
  })

  test('loses its note when an operation has ended since, and not before', async ({ trial }) => {
    await running(trial)
    trial.watch()
    trial.byHand.stop('web1')
    await noted(trial)
    const next = jobOf('web1', 6)
    await trial.journal.beginRun(next, 'boot-1')
    await trial.nextLooks()
    expect(trial.entries.has('web1')).toBe(true)
    await trial.journal.end(ended(next, 'stopped'))
    await until('its note to go', async () => !trial.entries.has('web1'))
    expect(trial.reports()).toHaveLength(1)
  })

  test('loses its note when it was destroyed', async ({ trial }) => {
    await running(trial)
    trial.watch()
    trial.byHand.stop('web1')
    await noted(trial)
    await settle(trial, jobOf('web1', 6), 'gone')
    await until('its note to go', async () => !trial.entries.has('web1'))
    expect(await readdir(join(trial.root, 'journal/jails'))).toEqual([])
  })

  test('stays noted as one that the fleet does not know, until it no longer is', async ({ trial }) => {
    const { jail: spec } = await running(trial)
    const orphan = { found: 'orphan', jail: 'web1', reason: 'unknown', since: '', spec, epoch: 5, wanted: 'running' } as const
    trial.entries.set('web1', orphan)
    trial.watch()
    trial.byHand.stop('web1')
    await until('a report', async () => trial.sent.length > 0)
    await trial.nextLooks()
    expect(trial.entries.get('web1')).toEqual(orphan)
    trial.entries.delete('web1')
    expect(await noted(trial)).toMatchObject({ found: 'stopped' })
  })

  test('is left alone while an operation runs on it or has its lock', async ({ trial }) => {
    await running(trial)
    await running(trial, 'web2')
    await trial.journal.beginRun(jobOf('web1', 6), 'boot-1')
    for (const name of ['web1', 'web2']) trial.byHand.stop(name)
    const { promise: release, resolve } = Promise.withResolvers<void>()
    const operation = trial.withJail('web2', async () => {
      await release
      trial.byHand.start('web2', 78)
    })
    trial.watch()
    await trial.nextLooks()
    resolve()
    await operation
    await trial.nextLooks()
    expect({ sent: trial.sent, notes: [...trial.entries.keys()] }).toEqual({ sent: [], notes: [] })
    expect(trial.state().networks).toEqual(['web1', 'web2'])
  })

  test('does not keep the others waiting while an operation has its lock', async ({ trial }) => {
    await running(trial, 'web2')
    await running(trial)
    for (const name of ['web1', 'web2']) trial.byHand.stop(name)
    const { promise: release, resolve } = Promise.withResolvers<void>()
    const operation = trial.withJail('web2', () => release)
    trial.watch()
    await noted(trial)
    expect(trial.entries.has('web2')).toBe(false)
    resolve()
    await operation
    await noted(trial, 'web2')
  })
})

describe('one who watches', () => {
  test('sends a report again until Redis has it, and looks on meanwhile', async ({ trial }) => {
    await running(trial)
    await running(trial, 'web2')
    let refusals = 2
    trial.watch({
      send: async (sent) => {
        if (refusals-- > 0) throw new Error('Redis is full')
        trial.sent.push(sent)
      },
    })
    trial.byHand.stop('web1')
    await noted(trial)
    trial.byHand.stop('web2')
    await noted(trial, 'web2')
    expect(trial.reports().map(({ jail }) => jail)).toEqual(['web1', 'web2'])
  })

  test('sends nothing twice to a Redis that does not answer, and takes other jails down meanwhile', async ({ trial }) => {
    await running(trial)
    await running(trial, 'web2')
    const { promise: answer, resolve } = Promise.withResolvers<void>()
    trial.watch({
      send: (sent) => {
        trial.sent.push(sent)
        return answer
      },
    })
    trial.byHand.stop('web1')
    await until('a report', async () => trial.sent.length > 0)
    trial.byHand.stop('web2')
    await until('the other to be taken down', async () => trial.state().networks.length === 0)
    await trial.nextLooks()
    expect(trial.reports().map(({ jail }) => jail)).toEqual(['web1'])
    resolve()
    await noted(trial, 'web2')
    expect(trial.reports().map(({ jail }) => jail)).toEqual(['web1', 'web2'])
  })

  test('looks on after a look that failed', async ({ trial }) => {
    await running(trial)
    const { listJails } = trial.host
    let failures = 2
    trial.host.listJails = async () => {
      if (failures-- > 0) throw new Error('jls did not answer')
      return listJails()
    }
    trial.watch()
    trial.byHand.stop('web1')
    await noted(trial)
  })

  test('reports what was found before its worker was killed', async ({ trial }) => {
    await running(trial)
    trial.byHand.stop('web1')
    const since = '2026-01-01T00:00:00.000Z'
    await trial.journal.setWanted('web1', 'stopped', { found: 'stopped', since })
    trial.watch({ journal: await trial.reopened() })
    expect(await noted(trial)).toMatchObject({ found: 'stopped', since })
    expect(trial.reports()).toEqual([{ ...report, jailState: 'stopped', jid: null, reason: byHand }])
    expect(trial.state().networks).toEqual([])
  })

  test('does not look before the jails of its host were brought up', async ({ trial }) => {
    const job = await running(trial)
    trial.byHand.stop('web1')
    const { promise: revived, resolve } = Promise.withResolvers<SettledJail[]>()
    trial.watch({ revived })
    const clock = await open()
    clock.watch()
    await clock.nextLooks()
    await clock.close()
    await start(trial, job)
    resolve([])
    await trial.nextLooks()
    expect(trial.sent).toEqual([])
  })

  test('does not report a jail that could not be brought up as stopped by hand', async ({ trial }) => {
    const { jail } = await running(trial)
    trial.byHand.stop('web1')
    trial.watch({ revived: Promise.resolve([{ spec: jail, epoch: 5 }]) })
    await trial.nextLooks()
    expect(trial.sent).toEqual([])
    expect(trial.journal.jail('web1')?.settled?.wanted).toBe('running')
    trial.byHand.start('web1', 79)
    await until('a report', async () => trial.sent.length > 0)
    expect(trial.reports()).toEqual([{ ...report, jailState: 'running', jid: 79 }])
  })

  test('looks no more once it was ended', async ({ trial }) => {
    await running(trial)
    const stop = trial.watch()
    await trial.nextLooks()
    await stop()
    trial.byHand.stop('web1')
    trial.watch({ revived: Promise.resolve([{ spec: jobOf('web1').jail, epoch: 5 }]) })
    await trial.nextLooks()
    expect(trial.sent).toEqual([])
  })
})
