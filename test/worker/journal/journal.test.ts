import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { OperationReport } from '#shared/report.ts'
import { type JournalFiles, journalFiles } from '../../../worker/journal/file.ts'
import { openJournal } from '../../../worker/journal/journal.ts'
import { makeJob, makeReport, silent } from '../samples.ts'

const job = makeJob()

function report(jailState: OperationReport['jailState'], more: Partial<OperationReport> = {}): OperationReport {
  return makeReport({ jailState, ...more })
}

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'provost-journal-'))
})
afterEach(() => rm(directory, { recursive: true }))
const files = () => readdir(join(directory, 'jails'))

async function epochsOf(reports: AsyncIterable<OperationReport>): Promise<number[]> {
  const epochs: number[] = []
  for await (const { epoch } of reports) epochs.push(epoch)
  return epochs
}

describe('the journal', () => {
  test('has what was noted after a crash', async () => {
    const journal = await openJournal(directory, silent)
    const operation = await journal.beginRun(job, 'boot-1')
    await journal.mark(operation, [
      { step: 'fill-world', mark: 'started', attempt: 1 },
      { step: 'fill-world', mark: 'succeeded', attempt: 1 },
      { step: 'clone-root', mark: 'started', attempt: 2 },
    ])
    const again = (await openJournal(directory, silent)).jail('web1')?.current
    expect(again).toEqual(operation)
    expect(again?.steps.get('clone-root')).toMatchObject({ mark: 'started', attempt: 2, bootId: 'boot-1', finishedAt: null })
  })

  test('counts its runs, and an entry that a crash cut short did not happen', async () => {
    const journal = await openJournal(directory, silent)
    await journal.beginRun(job, 'boot-1')
    await appendFile(join(directory, 'jails/web1.ndjson'), '{"type":"step","step":"fill-wo')
    const again = await openJournal(directory, silent)
    expect(again.jail('web1')?.current?.steps.size).toBe(0)
    expect((await again.beginRun(job, 'boot-2')).run).toBe(2)
  })

  test('sets aside a file that it cannot read, keeps the others, and removes it with its jail', async () => {
    const journal = await openJournal(directory, silent)
    await journal.beginRun(job, 'boot-1')
    await journal.beginRun(makeJob({ jail: { ...job.jail, name: 'web2' } }), 'boot-1')
    await appendFile(join(directory, 'jails/web1.ndjson'), '{"type":\n')
    const again = await openJournal(directory, silent)
    expect(again.jails().map(({ spec }) => spec.name)).toEqual(['web2'])
    const [aside] = (await files()).filter((name) => name.startsWith('web1'))
    expect(aside).toMatch(/^web1\.ndjson\.unreadable-/)
    const third = await openJournal(directory, silent)
    expect(third.setAside('web1')).toBe(join(directory, 'jails', aside ?? ''))
    expect(third.setAside('web2')).toBeUndefined()
    await third.beginRun(job, 'boot-2')
    await third.end(report('gone'))
    expect(await files()).toEqual(['web2.ndjson'])
  })

  test('goes on without the ended operations that it cannot read, and keeps what was there', async () => {
    const journal = await openJournal(directory, silent)
    await journal.beginRun(job, 'boot-1')
    const last = report('running')
    await journal.end(last)
    await appendFile(join(directory, 'ended.ndjson'), 'no JSON\n')
    const again = await openJournal(directory, silent)
    expect(await again.endedReport(job)).toEqual({ ...last, kind: 'provision' })
    expect(await epochsOf(again.latestReports(10))).toEqual([5])
    expect((await readdir(directory)).sort()).toEqual([
      'ended.ndjson',
      expect.stringMatching(/^ended\.ndjson\.unreadable-/),
      'jails',
    ])
    expect(await readFile(join(directory, 'ended.ndjson'), 'utf8')).not.toContain('no JSON')
  })

  test('says that it is gone when somebody takes it away', async () => {
    const journal = await openJournal(directory, silent)
    const operation = await journal.beginRun(job, 'boot-1')
    await rm(join(directory, 'jails'), { recursive: true })
    const mark = { step: 'fill-world', mark: 'started', attempt: 1 } as const
    await expect(journal.mark(operation, [mark])).rejects.toMatchObject({ code: 'journal_lost' })
    const other = makeJob({ jail: { ...job.jail, name: 'web2' } })
    await expect(journal.beginRun(other, 'boot-1')).rejects.toMatchObject({ code: 'journal_lost' })
  })

  test('accounts for the jails that it has, and for those of which nothing is left', async () => {
    const journal = await openJournal(directory, silent)
    const accountsFor = (by: typeof journal) => by.accountsFor('web1', job.jail.provision)
    expect(accountsFor(journal)).toBe(false)
    await journal.beginRun(job, 'boot-1')
    await journal.end(report('running'))
    expect(accountsFor(journal)).toBe(true)
    await rm(join(directory, 'jails/web1.ndjson'))
    const again = await openJournal(directory, silent)
    expect(accountsFor(again)).toBe(false)
    const destroy = { ...job, kind: 'destroy', operation: '01936c3e-0000-7000-8000-000000000002', epoch: 6 } as const
    await again.beginRun(destroy, 'boot-1')
    await again.end(report('gone', { operation: destroy.operation, epoch: 6 }))
    const third = await openJournal(directory, silent)
    expect(accountsFor(third)).toBe(true)
    expect(third.accountsFor('web1', '01936c3e-0000-7000-8000-000000000009')).toBe(false)
  })

  test('goes on writing after an entry that was cut short', async () => {
    const journal = await openJournal(directory, silent)
    await journal.beginRun(job, 'boot-1')
    await appendFile(join(directory, 'jails/web1.ndjson'), '{"type":"step","step":"fill-wo')
    const again = await openJournal(directory, silent)
    const operation = await again.beginRun(job, 'boot-1')
    await again.mark(operation, [{ step: 'fill-world', mark: 'started', attempt: 1 }])
    expect((await openJournal(directory, silent)).jail('web1')?.current?.steps.get('fill-world')?.mark).toBe('started')
  })

  test('keeps a jail that runs, forgets one that is gone, and remembers both ends', async () => {
    const journal = await openJournal(directory, silent)
    await journal.beginRun(job, 'boot-1')
    await journal.end(report('running'))
    expect((await openJournal(directory, silent)).jail('web1')).toEqual({
      spec: job.jail,
      settled: { epoch: 5, wanted: 'running', leftovers: [] },
    })
    const destroy = { ...job, operation: '01936c3e-0000-7000-8000-000000000002', kind: 'destroy' as const, epoch: 6 }
    await journal.beginRun(destroy, 'boot-1')
    await journal.end(report('gone', { operation: destroy.operation, epoch: 6 }))
    expect(await files()).toEqual([])
    const again = await openJournal(directory, silent)
    expect(again.jails()).toEqual([])
    expect(again.epochOf('web1')).toBe(6)
    expect((await again.endedReport(job))?.jailState).toBe('running')
    expect((await again.endedReport(destroy))?.jailState).toBe('gone')
  })

  test('notes between operations how a jail is wanted, with how it was found, until the next one has ended', async () => {
    const journal = await openJournal(directory, silent)
    await expect(journal.setWanted('web1', 'stopped')).rejects.toThrow('not between operations')
    await journal.beginRun(job, 'boot-1')
    await journal.end(report('running'))
    const drift = { found: 'stopped' as const, since: '2026-01-01T00:00:00Z' }
    await journal.setWanted('web1', 'stopped', drift)
    const again = await openJournal(directory, silent)
    expect(again.jail('web1')?.settled).toEqual({ epoch: 5, wanted: 'stopped', leftovers: [], drift })
    const start = { ...job, operation: '01936c3e-0000-7000-8000-000000000002', kind: 'start' as const, epoch: 6 }
    await again.beginRun(start, 'boot-1')
    await expect(again.setWanted('web1', 'running')).rejects.toThrow('not between operations')
    await again.end(report('running', { operation: start.operation, epoch: 6 }))
    expect((await openJournal(directory, silent)).jail('web1')?.settled).toEqual({ epoch: 6, wanted: 'running', leftovers: [] })
  })

  test('settles a jail whose end was noted just before the crash', async () => {
    const journal = await openJournal(directory, silent)
    await journal.beginRun(job, 'boot-1')
    await appendFile(join(directory, 'ended.ndjson'), `${JSON.stringify(report('failed', { status: 'failed' }))}\n`)
    expect((await openJournal(directory, silent)).jails()).toEqual([])
    expect(await files()).toEqual([])
  })

  test('settles a jail whose end was noted while the disk had no room for more, as soon as its job comes again', async () => {
    let isFull = false
    const write: JournalFiles['write'] = (file, text) =>
      isFull && text.includes('"type":"jail"') ? Promise.reject(new Error('ENOSPC')) : journalFiles.write(file, text)
    const journal = await openJournal(directory, silent, { ...journalFiles, write })
    await journal.beginRun(job, 'boot-1')
    isFull = true
    await expect(journal.end(report('running'))).rejects.toThrow('ENOSPC')
    await expect(journal.endedReport(job)).rejects.toThrow('ENOSPC')
    isFull = false
    expect(await journal.endedReport(job)).toMatchObject({ jailState: 'running' })
    for (const each of [journal, await openJournal(directory, silent)])
      expect(each.jail('web1')).toEqual({ spec: job.jail, settled: { epoch: 5, wanted: 'running', leftovers: [] } })
    expect(await readFile(join(directory, 'jails', 'web1.ndjson'), 'utf8')).toMatch(/^{"type":"jail"[^\n]*\n$/)
  })

  test('keeps a failed jail as long as an undo of it has failed', async () => {
    const journal = await openJournal(directory, silent)
    const operation = await journal.beginRun(job, 'boot-1')
    await journal.mark(operation, [{ step: 'clone-root', mark: 'undo-failed', attempt: 1 }])
    const since = '2026-01-01T00:00:00.000Z'
    const error = { code: 'unexpected', message: 'It failed.', hint: '', step: null }
    await journal.end(report('failed', { status: 'failed', at: since, error }))
    const again = await openJournal(directory, silent)
    expect(again.jail('web1')?.settled).toEqual({
      epoch: 5,
      wanted: 'gone',
      leftovers: ['clone-root'],
      left: { since, error: 'It failed.' },
    })
    await again.forget('web1')
    expect(await files()).toEqual([])
  })

  test.each([
    ['destroy', 'destroying', 'gone'],
    ['stop', 'stopped', 'stopped'],
  ] as const)('has as leftovers of a %s which failed what it has not done', async (kind, jailState, wantedThen) => {
    const journal = await openJournal(directory, silent)
    await journal.beginRun({ ...job, kind }, 'boot-1')
    const step = { title: '', startedAt: null, finishedAt: null, attempt: 1 }
    const steps = [
      { ...step, name: 'stop-jail', status: 'succeeded' as const },
      { ...step, name: 'detach-network', status: 'failed' as const },
      { ...step, name: 'remove-root', status: 'pending' as const },
    ]
    await journal.end(report(jailState, { status: 'failed', steps }))
    const { wanted, leftovers } = (await openJournal(directory, silent)).jail('web1')?.settled ?? {}
    expect({ wanted, leftovers }).toEqual({ wanted: wantedThen, leftovers: ['detach-network', 'remove-root'] })
  })

  test('counts the runs that ended with their worker, and none that ended in order', async () => {
    const restart = async () => {
      const journal = await openJournal(directory, silent)
      const kills = journal.killsOf(job, 'web1')
      const operation = await journal.beginRun(job, 'boot-1')
      return { journal, operation, kills }
    }
    const paused = await restart()
    await paused.journal.leaveRun(paused.operation, [{ step: 'fill-world', mark: 'succeeded', attempt: 1 }])
    const killed = await restart()
    const stopped = await restart()
    await stopped.journal.leaveRuns()
    const again = await restart()
    expect([paused, killed, stopped, again].map(({ kills }) => kills)).toEqual([0, 0, 1, 1])
    expect(again.operation.kills).toBe(1)
    expect(again.operation.steps.get('fill-world')?.mark).toBe('succeeded')
    // A retry by a person is another attempt.
    expect((await openJournal(directory, silent)).killsOf({ ...job, epoch: 6, attempt: 2 }, 'web1')).toBe(0)
  })

  test('has the last reports of what has ended, also after its file was written anew without the old ones', async () => {
    const month = 31 * 24 * 3_600_000
    const id = (n: number) => `01936c3e-0000-7000-8000-00000000000${n}`
    const ended = (n: number, more: Partial<OperationReport> = {}) => report('running', { operation: id(n), epoch: n, ...more })
    const journal = await openJournal(directory, silent)
    await journal.end(ended(1, { at: new Date(Date.now() - month).toISOString() }))
    await journal.end(ended(2, { step: 'ü'.repeat(20_000) }))
    await journal.end(ended(3))
    const again = await openJournal(directory, silent)
    // Not by itself: a host does not know what time it is until it has asked Redis.
    expect(await epochsOf(again.latestReports(10))).toEqual([1, 2, 3])
    await again.dropOld(Date.now())
    await again.end(ended(4))
    const find = (n: number) => again.endedReport({ operation: id(n), epoch: n, attempt: 1 })
    const reports = await Promise.all([1, 2, 3, 4].map(find))
    expect(reports.map((each) => each?.epoch)).toEqual([undefined, 2, 3, 4])
    expect(reports[1]?.step).toBe('ü'.repeat(20_000))
    expect(await epochsOf(again.latestReports(10))).toEqual([2, 3, 4])
    expect(await epochsOf(again.latestReports(1))).toEqual([4])
    expect(again.epochOf('web1')).toBe(4)
  })

  test('has a step that waited as begun since it first began, and one that is done again as begun anew', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-01T00:00:00Z') })
    const journal = await openJournal(directory, silent)
    const operation = await journal.beginRun(job, 'boot-1')
    const mark = async (mark: 'started' | 'succeeded', second: number) => {
      vi.setSystemTime(new Date(`2026-01-01T00:00:0${second}Z`))
      await journal.mark(operation, [{ step: 'fill-world', mark, attempt: 1 }])
      const { startedAt, finishedAt } = operation.steps.get('fill-world') ?? {}
      return [startedAt, finishedAt].map((at) => (at ? new Date(at).getUTCSeconds() : at))
    }
    expect(await mark('started', 1)).toEqual([1, null])
    expect(await mark('started', 3)).toEqual([1, null])
    expect(await mark('succeeded', 4)).toEqual([1, 4])
    expect(await mark('started', 6)).toEqual([6, null])
    vi.useRealTimers()
  })
})
