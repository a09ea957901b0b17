import { expect, it } from 'vitest'
import { toJailCommand } from '../../../../producer/records/jails/jail-command.ts'

const argv = ['/usr/bin/httpd', '-f']
const [startedAt, endedAt] = ['2026-11-30T12:00:00.000Z', '2026-11-30T12:00:05.000Z']

it.each(['queued', 'building', 'built', 'starting'] as const)('the command of a jail that is %s is yet to start', (jail) => {
  expect(toJailCommand(argv, jail, undefined)).toEqual({ argv, state: 'starting', startedAt: null })
})

it.each(['stopped', 'stopping', 'failed', 'destroying'] as const)('the command of a jail that is %s does not run', (jail) => {
  expect(toJailCommand(argv, jail, undefined)).toEqual({ argv, state: 'exited', startedAt: null })
})

it('says what its host has said of it', () => {
  const running = { state: 'running', exitCode: null, startedAt, endedAt: null } as const
  expect(toJailCommand(argv, 'running', running)).toEqual({ argv, state: 'running', startedAt })
  expect(toJailCommand(argv, 'running', undefined)).toEqual({ argv, state: 'running', startedAt: null })
  const ended = (exitCode: number | null) => toJailCommand(argv, 'running', { state: 'ended', exitCode, startedAt, endedAt })
  expect(ended(3)).toEqual({ argv, state: 'exited', exitCode: 3, startedAt, endedAt })
  expect(ended(137)).toEqual({ argv, state: 'exited', exitCode: 137, signal: 'SIGKILL', startedAt, endedAt })
  expect(ended(null)).toEqual({ argv, state: 'exited', startedAt, endedAt })
})
