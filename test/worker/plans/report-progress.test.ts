import { setImmediate } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import type { FillJob, JailJob } from '#shared/job.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import type { JournaledOperation } from '../../../worker/journal/entries.ts'
import { fillReporter, operationReporter } from '../../../worker/plans/report-progress.ts'
import { cloneRoot } from '../../../worker/plans/steps/clone-root.ts'

test('a report that a full Redis refuses ends nothing', async () => {
  const job = { host: 'host1', operation: 'o', epoch: 1, attempt: 1, jail: { name: 'web1' } } as JailJob
  const operation = { run: 1, steps: new Map() } as JournaledOperation
  const faults: unknown[] = []
  const onFault = (fault: unknown) => faults.push(fault)
  process.on('unhandledRejection', onFault)
  const reporter = operationReporter(job, operation, [cloneRoot], () => Promise.reject(new Error('OOM command not allowed')))
  reporter.send()
  await setImmediate()
  process.off('unhandledRejection', onFault)
  expect(faults).toEqual([])
})

test('what comes at once goes out as one report, and a later run is always later', async () => {
  vi.useFakeTimers()
  const job = { host: 'host1', operation: 'o', epoch: 1, attempt: 1, jail: { name: 'web1' } } as JailJob
  const operation = { run: 1, steps: new Map() } as JournaledOperation
  const sent: OperationReport[] = []
  const send = async (report: OperationReport) => void sent.push(report)
  const first = operationReporter(job, operation, [cloneRoot], send)
  first.send({ step: null })
  first.step(cloneRoot, 'running', 1)
  first.send()
  first.step(cloneRoot, 'succeeded', 1)
  first.send({ jailState: 'built' })

  operation.run = 2
  const second = operationReporter(job, operation, [cloneRoot], send)
  second.send()
  vi.advanceTimersByTime(1_000)
  vi.useRealTimers()
  expect(sent.map(({ sequence, jailState }) => [sequence, jailState])).toEqual([
    [1_000_001, 'building'],
    [2_000_001, 'building'],
    [1_000_002, 'built'],
  ])
})

test('the reports of a fill by a later worker are always later', () => {
  vi.useFakeTimers()
  const job = { host: 'host1', operation: 'o', epoch: 1, attempt: 1, world: { name: 'tiny' } } as FillJob
  const sent: FillReport[] = []
  const step = { name: 'fill-world', title: 'Filling the world', weight: 60 }
  const pickUp = () => fillReporter(job, step, async (report) => void sent.push(report))
  const first = pickUp()
  first.step(step, 'running', 1)
  first.send()
  vi.advanceTimersByTime(1_000)
  first.progress(0.5)
  const second = pickUp()
  second.step(step, 'running', 1)
  second.send()
  vi.useRealTimers()
  expect(sent.map(({ percent, world, step: at }) => [percent, world, at])).toEqual([
    [0, 'tiny', 'fill-world'],
    [49, 'tiny', 'fill-world'],
    [0, 'tiny', 'fill-world'],
  ])
  const sequences = sent.map(({ sequence }) => sequence)
  expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
  expect(new Set(sequences).size).toBe(3)
})
