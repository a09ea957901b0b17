import { describe, expect, test } from 'vitest'
import { acceptedLine, bar, failureLines, operationLines } from '../../../cli/print/operation-lines.ts'
import { makeOperation } from '../../support/samples/operation.ts'

const now = Date.parse('2026-01-01T00:00:04.000Z')

test('draws a bar of the same length at every percentage', () => {
  expect([0, 50, 100, 120].map((percent) => bar(percent, 4))).toEqual(['────', '━━──', '━━━━', '━━━━'])
})

describe('a running operation', () => {
  test('shows the bar and every step with its mark and its time', () => {
    expect(operationLines(makeOperation(), now)).toEqual([
      'web1  provision  ━━━━━━━━━━━━━───────────────  45%  3.0 s  Cloning the world',
      '  ✓ Making the world ready  2.5 s',
      '  ▸ Cloning the world  0.5 s',
      '  · Starting the jail',
    ])
  })

  test('shows how long it may still take', () => {
    expect(operationLines(makeOperation({ steps: [], eta: { p50: 0.2, p90: 90 } }), now)).toEqual([
      expect.stringMatching(/ {2}running$/),
      '  about 1 s, rarely over 1 min 30 s',
    ])
  })

  test('that waits shows for what, at which place and how long it may take, once', () => {
    const waiting = { reason: 'queue build of host host1', position: 3 }
    for (const status of ['queued', 'running'] as const)
      expect(operationLines(makeOperation({ status, steps: [], waiting, eta: { p50: 12, p90: 30 } }), now)).toEqual([
        expect.stringContaining('  waiting: queue build of host host1 (place 3), about 12 s, rarely over 30 s'),
      ])
  })

  test('that was moved shows from where to where and why', () => {
    const at = '2026-01-01T00:00:02.000Z'
    const moves = [
      { at, from: 'host1', to: 'host2', epoch: 8, reason: 'host host1 is down' },
      { at, from: 'host2', to: 'host3', epoch: 9, reason: 'host host2 is draining' },
    ]
    expect(operationLines(makeOperation({ steps: [], moves }), now).slice(1)).toEqual([
      '  moved from host1 to host2: host host1 is down',
      '  moved from host2 to host3: host host2 is draining',
    ])
  })
})

describe('a fill', () => {
  const fill = makeOperation({ kind: 'fill', jail: null, world: 'debian-12', steps: [], step: null })

  test('is named after its world and its host', () => {
    expect(operationLines(fill, now)).toEqual(['debian-12 on host1  fill  ━━━━━━━━━━━━━───────────────  45%  3.0 s  running'])
    expect(acceptedLine(fill)).toBe(`The fill of debian-12 on host1 is running: operation ${fill.id}`)
    expect(acceptedLine({ ...fill, status: 'succeeded' })).toBe(
      `The fill of debian-12 on host1 has succeeded: operation ${fill.id}`,
    )
    expect(failureLines({ ...fill, status: 'cancelled' })).toEqual(['The fill of debian-12 on host1 was cancelled.'])
  })
})

describe('a failed operation', () => {
  test('shows the step, the command, its output and what to do', () => {
    const operation = makeOperation({
      status: 'failed',
      finishedAt: '2026-01-01T00:00:05.000Z',
      error: {
        code: 'command_failed',
        message: 'mount ended with exit code 32: no such device',
        hint: 'Mend its cause, then retry.',
        step: 'clone-root',
        command: 'mount -t overlay overlay /x',
        exitCode: 32,
        logTail: 'first line\nno such device\n',
      },
    })
    expect(failureLines(operation)).toEqual([
      'The provision of web1 failed at step clone-root (Cloning the world).',
      '  command_failed: mount ended with exit code 32: no such device',
      '  command: mount -t overlay overlay /x',
      '  exit code: 32',
      '  its last output:',
      '    | first line',
      '    | no such device',
      '  what to do: Mend its cause, then retry.',
      `  the whole log: provost log ${operation.id}`,
      `  to try again: provost retry ${operation.id} --wait`,
    ])
  })

  test('that was cancelled without an error shows only that', () => {
    expect(failureLines(makeOperation({ status: 'cancelled' }))).toEqual(['The provision of web1 was cancelled.'])
  })
})
