import { setImmediate } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import type { Job } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import type { JournaledOperation } from '../../worker/journal.ts'
import { makeReporter } from '../../worker/report-progress.ts'
import { cloneRoot } from '../../worker/steps/clone-root.ts'

test('a report that a full Redis refuses ends nothing', async () => {
  const job = { host: 'host1', operation: 'o', epoch: 1, attempt: 1, jail: { name: 'web1' } } as Job
  const operation = { run: 1, steps: new Map() } as JournaledOperation
  const faults: unknown[] = []
  const onFault = (fault: unknown) => faults.push(fault)
  process.on('unhandledRejection', onFault)
  const reporter = makeReporter(job, operation, [cloneRoot], () => Promise.reject(new Error('OOM command not allowed')))
  reporter.tell()
  await setImmediate()
  process.off('unhandledRejection', onFault)
  expect(faults).toEqual([])
})

test('what comes at once goes out as one report, and a later run is always later', async () => {
  vi.useFakeTimers()
  const job = { host: 'host1', operation: 'o', epoch: 1, attempt: 1, jail: { name: 'web1' } } as Job
  const operation = { run: 1, steps: new Map() } as JournaledOperation
  const sent: OperationReport[] = []
  const send = async (report: OperationReport) => void sent.push(report)
  const first = makeReporter(job, operation, [cloneRoot], send)
  first.tell({ step: null })
  first.step(cloneRoot, 'running', 1)
  first.tell()
  first.step(cloneRoot, 'succeeded', 1)
  first.tell({ jailState: 'built' })

  operation.run = 2
  const second = makeReporter(job, operation, [cloneRoot], send)
  second.tell()
  vi.advanceTimersByTime(1_000)
  vi.useRealTimers()
  expect(sent.map(({ sequence, jailState }) => [sequence, jailState])).toEqual([
    [1_000_001, 'building'],
    [2_000_001, 'building'],
    [1_000_002, 'built'],
  ])
})
