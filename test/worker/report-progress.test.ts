import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Job } from '#shared/job.ts'
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
