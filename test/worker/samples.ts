import { pino } from 'pino'
import { type JailJob, planVersion } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'

const operation = '01936c3e-0000-7000-8000-000000000001'

/** The job of a provision, with what a test changes of it. */
export function makeJob(changes: Partial<JailJob> = {}): JailJob {
  return {
    version: 1,
    operation,
    kind: 'provision',
    plan: planVersion,
    host: 'host1',
    epoch: 5,
    attempt: 1,
    jail: {
      name: 'web1',
      provision: operation,
      client: 'acme',
      hostname: 'web1',
      world: 'tiny',
      worldDigest: 'a'.repeat(64),
      addresses: ['10.0.0.2/24'],
      limits: { memory: 64, cpu: 0.1, processes: 10 },
    },
    issuedAt: '2026-01-01T00:00:00Z',
    ...changes,
  }
}

/** The last report of that provision, which has succeeded, with what a test changes of it. */
export function makeReport(changes: Partial<OperationReport> = {}): OperationReport {
  return {
    type: 'operation',
    host: 'host1',
    operation,
    jail: 'web1',
    epoch: 5,
    attempt: 1,
    sequence: 1,
    at: new Date().toISOString(),
    status: 'succeeded',
    percent: 100,
    step: null,
    steps: [],
    jailState: 'running',
    jid: null,
    ...changes,
  }
}

export const silent = pino({ level: 'silent' })
