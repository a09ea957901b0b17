import { describe, expect, test } from 'vitest'
import { redisKeys } from '#shared/redis/keys.ts'
import type { OperationReport } from '#shared/report.ts'
import type { JailRecord } from '../../../producer/records/jails/jail-record.ts'
import type { OperationRecord } from '../../../producer/records/operations/operation-record.ts'
import { applyOperationReport } from '../../../producer/reports/apply-report.ts'

const keys = redisKeys('p')
const at = '2026-01-01T00:00:00.000Z'

const operation: OperationRecord = {
  id: '01936c3e-0000-7000-8000-000000000001',
  kind: 'provision',
  jail: 'web1',
  status: 'running',
  percent: 40,
  step: 'clone-root',
  steps: [],
  attempt: 2,
  createdAt: at,
  startedAt: at,
  finishedAt: null,
  host: 'host1',
  epoch: 7,
  sequence: 1_000_005,
  wakeup: 2,
  plan: 1,
  revision: '90',
}
const jail: JailRecord = {
  name: 'web1',
  provision: operation.id,
  client: 'acme',
  hostname: 'web1',
  world: 'tiny',
  worldDigest: 'd',
  host: 'host1',
  leases: [['10.0.0.2', 24, '10.0.0.0/24']],
  limits: { memory: 64, cpu: 0.1, processes: 10 },
  labels: {},
  state: 'starting',
  jid: null,
  epoch: 7,
  lastOperation: operation.id,
  createdAt: at,
  updatedAt: at,
  revision: '89',
}
const report: OperationReport = {
  type: 'operation',
  host: 'host1',
  operation: operation.id,
  jail: 'web1',
  epoch: 7,
  attempt: 2,
  sequence: 1_000_006,
  at,
  status: 'running',
  percent: 60,
  step: 'start-jail',
  steps: [],
  jailState: 'starting',
  jid: null,
}
const change = (more: Partial<OperationReport>, jailNow: JailRecord | undefined = jail) =>
  applyOperationReport({ ...report, ...more }, operation, jailNow, keys)
const field = (commands: string[][], key: string, name: string) => {
  const hset = commands.find(([command, of]) => command === 'HSET' && of === key) ?? []
  return hset[hset.indexOf(name) + 1]
}

describe('a report', () => {
  test('of an older epoch, attempt or sequence, of another host, or of an ended operation, changes nothing', () => {
    expect(change({ epoch: 6 })).toBeUndefined()
    expect(change({ attempt: 1 })).toBeUndefined()
    expect(change({ sequence: 1_000_005 })).toBeUndefined()
    expect(change({ host: 'host2' })).toBeUndefined()
    expect(applyOperationReport(report, { ...operation, status: 'cancelled' }, jail, keys)).toBeUndefined()
    expect(applyOperationReport(report, undefined, jail, keys)).toBeUndefined()
    expect(change({})).toBeDefined()
  })

  test.each([
    ['hours ahead', 2],
    ['hours behind', -2],
  ])('of a worker whose clock is %s ends its operation neither before it began nor ahead of now', (_, hours) => {
    const now = Date.now()
    const began = new Date(now - 5_000).toISOString()
    const told = { ...report, at: new Date(now + hours * 3_600_000).toISOString() }
    const queued = { ...operation, createdAt: began, startedAt: null }
    const { commands = [] } = applyOperationReport({ ...told, status: 'succeeded' }, queued, jail, keys) ?? {}
    for (const name of ['startedAt', 'finishedAt']) {
      const ms = Date.parse(field(commands, keys.operation(operation.id), name) ?? '')
      expect([ms >= now - 5_000, ms <= Date.now()]).toEqual([true, true])
    }
  })

  test('never lets the percentage fall, and 100 is success alone', () => {
    const key = keys.operation(operation.id)
    expect(field(change({ percent: 10 })?.commands ?? [], key, 'percent')).toBe('40')
    expect(field(change({ percent: 100 })?.commands ?? [], key, 'percent')).toBe('99')
    expect(field(change({ status: 'failed', percent: 100, jailState: 'failed' })?.commands ?? [], key, 'percent')).toBe('99')
    expect(field(change({ status: 'succeeded', jailState: 'running' })?.commands ?? [], key, 'percent')).toBe('100')
  })

  test('that the jail is gone gives back its leases and promise, and removes it', () => {
    const gone = change({ status: 'cancelled', jailState: 'gone' })
    expect(gone?.release).toEqual([['10.0.0.2', 'p:pool:10.0.0.0/24:returned', 'web1']])
    expect(gone?.commands).toEqual(
      expect.arrayContaining([
        ['DEL', 'p:jail:web1'],
        ['HINCRBY', 'p:promised:host1', 'jails', '-1'],
        ['HINCRBY', 'p:promised:host1', 'memory', '-64'],
        ['HINCRBY', 'p:promised:host1', 'cpu', '-100'],
      ]),
    )
  })

  test('that a jail failed keeps its leases and its promise', () => {
    const failed = change({ status: 'failed', jailState: 'failed' })
    expect(failed?.release).toEqual([])
    expect(failed?.commands.flat()).not.toContain('HINCRBY')
    expect(field(failed?.commands ?? [], 'p:jail:web1', 'state')).toBe('failed')
  })

  test('does not touch a jail that a later operation speaks for', () => {
    const later = change({ status: 'cancelled', jailState: 'gone' }, { ...jail, epoch: 8 })
    expect(later?.events.map(([kind]) => kind)).toEqual(['operation'])
    expect(later?.release).toEqual([])
  })

  test('goes through only if nobody changed the records meanwhile', () => {
    expect(change({})?.unchanged).toEqual([
      [keys.operation(operation.id), 'revision', '90'],
      ['p:jail:web1', 'revision', '89'],
    ])
  })
})
