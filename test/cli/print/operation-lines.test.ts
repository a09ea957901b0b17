import { describe, expect, test } from 'vitest'
import { bar, failureLines, operationLines } from '../../../cli/print/operation-lines.ts'
import { makeOperation } from '../../support/operation.ts'

const now = Date.parse('2026-01-01T00:00:04.000Z')

test('draws a bar of one length at every percentage', () => {
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

  test('says what it waits for and how long it may take', () => {
    const lines = operationLines(
      makeOperation({ waiting: { reason: 'fill of debian-12', position: 2 }, eta: { p50: 4, p90: 9 } }),
      now,
    )
    expect(lines.slice(-2)).toEqual(['  waiting: fill of debian-12 (place 2)', '  about 4.0 s more, rarely over 9.0 s'])
  })
})

describe('a failed operation', () => {
  test('says the step, the command, its output and what to do', () => {
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

  test('that was cancelled without an error says so', () => {
    expect(failureLines(makeOperation({ status: 'cancelled' }))).toEqual(['The provision of web1 ended cancelled.'])
  })
})
