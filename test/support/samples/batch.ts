import type { Batch, Cause } from '#shared/batch.ts'

/** A batch of 3,000 that runs, with what a test says of it. */
export function makeBatch(facts: Partial<Batch> = {}): Batch {
  return {
    id: '01936c3e-0000-7000-8000-00000000000b',
    name: 'spring',
    status: 'running',
    counts: { queued: 1090, running: 50, succeeded: 1836, failed: 24, cancelled: 0 },
    skipped: 0,
    causes: [],
    maxInFlight: 50,
    maxFailures: 0,
    rate: 12.4,
    eta: { p50: 5_520, p90: 7_500 },
    createdAt: '2026-01-01T00:00:00.000Z',
    finishedAt: null,
    ...facts,
  }
}

export function makeCause(facts: Partial<Cause> = {}): Cause {
  return {
    id: 'c1',
    code: 'mirror_unavailable',
    step: 'fill-world',
    world: 'debian-12',
    message: 'The mirror # does not answer.',
    hosts: ['host1', 'host2'],
    count: 21,
    hint: 'Check that the host reaches the mirror, then retry.',
    sampleOperation: '01936c3e-0000-7000-8000-000000000001',
    ...facts,
  }
}
