import { expect, test } from 'vitest'
import { judgeBatch } from '../../../producer/batches/judge-batch.ts'
import type { BatchRecord } from '../../../producer/records/batches/batch-record.ts'

const batch = (facts: Partial<BatchRecord>): BatchRecord => ({
  id: 'b1',
  name: 'b1',
  status: 'running',
  maxInFlight: 10,
  maxFailures: 0,
  rows: 100,
  cursor: 0,
  queued: 100,
  running: 0,
  succeeded: 0,
  failed: 0,
  cancelled: 0,
  skipped: 0,
  endedBefore: 0,
  failedBefore: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
  finishedAt: null,
  revision: '1',
  ...facts,
})

test.each([
  ['releases all of its rows without a canary', batch({}), 100, { type: 'goes-on', upTo: 100, passesCanary: false }],
  ['releases its canary alone', batch({ canary: 10 }), 100, { type: 'goes-on', upTo: 10, passesCanary: false }],
  [
    'waits for all of its canary',
    batch({ canary: 10, queued: 91, succeeded: 9 }),
    90,
    { type: 'goes-on', upTo: 10, passesCanary: false },
  ],
  [
    'goes on once its canary has ended',
    batch({ canary: 10, queued: 90, succeeded: 10 }),
    90,
    { type: 'goes-on', upTo: 100, passesCanary: true },
  ],
  [
    'pauses at once when its canary fails too often',
    batch({ canary: 10, queued: 95, succeeded: 3, failed: 2, maxFailures: 1 }),
    90,
    { type: 'pauses', reason: 'canary: 2 of the first 10 rows failed, at most 1 may' },
  ],
  [
    'allows its canary so many failures',
    batch({ canary: 10, queued: 90, succeeded: 9, failed: 1, maxFailures: 1 }),
    90,
    { type: 'goes-on', upTo: 100, passesCanary: true },
  ],
  [
    'judges no rate by a few rows',
    batch({ maxFailureRate: 0.1, queued: 97, failed: 3 }),
    97,
    { type: 'goes-on', upTo: 100, passesCanary: false },
  ],
  [
    'pauses at a rate of failures',
    batch({ maxFailureRate: 0.1, queued: 90, succeeded: 8, failed: 2 }),
    90,
    {
      type: 'pauses',
      reason:
        '2 of the 10 rows that ended since it was accepted at 2026-01-01T00:00:00.000Z failed, which is more than 0.1 of them',
    },
  ],
  [
    'says since when it counts once it was resumed',
    batch({
      ...{ maxFailureRate: 0.1, queued: 80, succeeded: 15, failed: 5, endedBefore: 10, failedBefore: 2 },
      resumedAt: '2026-01-02T00:00:00.000Z',
    }),
    80,
    {
      type: 'pauses',
      reason:
        '3 of the 10 rows that ended since it was resumed at 2026-01-02T00:00:00.000Z failed, which is more than 0.1 of them',
    },
  ],
  [
    'counts its rate anew from when it was resumed',
    batch({ maxFailureRate: 0.1, queued: 80, succeeded: 18, failed: 2, endedBefore: 10, failedBefore: 2 }),
    80,
    { type: 'goes-on', upTo: 100, passesCanary: false },
  ],
  ['releases nothing while it is paused', batch({ status: 'paused' }), 100, { type: 'goes-on', upTo: 0, passesCanary: false }],
  [
    'that was cancelled releases what is to be tried again',
    batch({ status: 'cancelled', queued: 1, cancelled: 99 }),
    1,
    { type: 'goes-on', upTo: 100, passesCanary: false },
  ],
  ['succeeds when all rows did', batch({ queued: 0, succeeded: 100 }), 0, { type: 'ends', status: 'succeeded' }],
  [
    'fails when a row failed',
    batch({ queued: 0, succeeded: 98, failed: 1, cancelled: 1 }),
    0,
    { type: 'ends', status: 'failed' },
  ],
  [
    'stays cancelled',
    batch({ status: 'cancelled', queued: 0, failed: 1, cancelled: 99 }),
    0,
    { type: 'ends', status: 'cancelled' },
  ],
])('a batch %s', (_, record, waiting, verdict) => {
  expect(judgeBatch(record, waiting)).toEqual(verdict)
})
