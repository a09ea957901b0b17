import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { type JailJob, type JobName, planVersion } from '#shared/job.ts'
import { stepRetry } from '#shared/process/retry-policy.ts'
import { openJournal } from '../../../worker/journal/journal.ts'
import { runPlan } from '../../../worker/plans/run-plan.ts'
import type { WorldStore } from '../../../worker/worlds/world-store.ts'
import { type SimulatedHost, simulatedHost } from '../../support/hosts/simulated-host.ts'
import { until } from '../../support/until.ts'
import { makeJob, silent } from '../samples.ts'

const job = makeJob()
const worlds = { fill: () => undefined, leave: () => undefined } as Partial<WorldStore> as WorldStore
const log = { heading: () => undefined, note: () => undefined, record: () => undefined }

describe('a provision whose worker is killed while it is undone', () => {
  let simulated: SimulatedHost
  beforeEach(async () => {
    simulated = await simulatedHost()
  })
  afterEach(() => simulated.remove())

  /** Runs a job as a worker does that was just started. */
  async function run(name: JobName, of: JailJob = job) {
    const journal = await openJournal(`${simulated.root}/journal`, silent)
    const none = new AbortController().signal
    return runPlan(of, name, log, none, {
      host: simulated.host,
      worlds,
      journal,
      plans: [planVersion],
      withJail: (_name, work) => work(),
      diskFull: () => false,
      withSuspect: (work) => work(),
      waitForOthers: async () => undefined,
      send: async () => undefined,
      deliver: async () => undefined,
      recorded: async () => ({ cancelled: false, moved: false, ended: false }),
      bind: async () => ({ type: 'bound' }),
      stopping: none,
      retry: stepRetry,
    })
  }

  async function endUnharmed() {
    await run('build')
    const outcome = await run('start')
    if (outcome.type !== 'ended') throw new Error('It has not ended.')
    await rm(`${simulated.root}/journal`, { recursive: true })
    simulated.deeds.length = 0
    return outcome.report
  }

  it('is undone by the next one, and fails for the reason it had, as far as it had come', async () => {
    const facts = { command: 'runc exec', exitCode: 3, logTail: 'no such file' }
    simulated.before('startCommand', () => {
      throw new ProvostError('command_failed', 'It ended with exit code 3.', facts)
    })
    const { percent } = await endUnharmed()
    simulated.before('removeNetwork', () => new Promise(() => undefined))
    await run('build')
    void run('start')
    await until('it to be undone in part', async () => simulated.deeds.includes('removeNetwork web1'))
    simulated.clear('startCommand')
    simulated.clear('removeNetwork')
    simulated.deeds.length = 0

    const outcome = await run('start')
    expect(outcome).toMatchObject({
      type: 'ended',
      report: {
        status: 'failed',
        percent,
        jailState: 'failed',
        step: 'run-command',
        error: { code: 'command_failed', message: 'It ended with exit code 3.', step: 'run-command', ...facts },
      },
    })
    if (outcome.type !== 'ended') return
    expect(outcome.report.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'fill-world succeeded',
      'clone-root undone',
      'attach-network undone',
      'start-jail undone',
      'run-command failed',
      'prove-isolation pending',
    ])
    expect(simulated.deeds.filter((deed) => /ensure|start|prove/.test(deed))).toEqual([])
    expect(simulated.state()).toEqual({ roots: [], networks: [], jails: [] })
  })

  it('delays the destroy that takes its place for so many kills only', async () => {
    await run('build')
    simulated.before('ensureNetwork', () => new Promise(() => undefined))
    simulated.before('removeNetwork', () => new Promise(() => undefined))
    void run('start')
    await until('it to be at its network', async () => simulated.deeds.includes('ensureNetwork web1'))
    const destroy = makeJob({ operation: '01936c3e-0000-7000-8000-000000000002', kind: 'destroy', epoch: 6 })
    for (let kills = 1; kills <= 12; kills += 1) {
      simulated.deeds.length = 0
      const outcome = run('destroy', destroy)
      const end = outcome.then(() => 'ended')
      const kill = until('it to end its worker', async () => simulated.deeds.includes('removeNetwork web1') && 'killed')
      if ((await Promise.race([end, kill])) === 'killed') continue
      expect(await outcome).toMatchObject({ report: { status: 'failed', error: { code: 'poisoned' } } })
      return
    }
    throw new Error('It has ended its worker twelve times.')
  })
})
