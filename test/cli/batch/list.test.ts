import { expect, test } from 'vitest'
import { batchTable } from '../../../cli/batch/list.ts'
import { makeBatch } from '../../support/samples/batch.ts'

test('has each batch with its whole id, its progress, and why it does not go on', () => {
  const paused = makeBatch({ status: 'paused', reason: 'paused by hand' })
  expect(batchTable([paused], Date.parse('2026-01-01T03:00:00.000Z'))).toEqual([
    'BATCH                                 NAME    STATUS  DONE  JAILS  SUCCEEDED  FAILED  RUNNING  CREATED',
    '01936c3e-0000-7000-8000-00000000000b  spring  paused  62%   3,000  1,836      24      50       3 h ago  paused by hand',
  ])
  expect(batchTable([], 0)).toEqual(['No batches.'])
})
