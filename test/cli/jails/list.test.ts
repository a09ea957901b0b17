import { expect, test } from 'vitest'
import type { Jail } from '#shared/jail.ts'
import { jailTable } from '../../../cli/jails/list.ts'

test('a list of jails marks one whose command has failed, and none whose command has done its work', () => {
  const at = '2026-11-30T10:00:00.000Z'
  const limits = { memory: 64 * 1024 ** 2, cpu: 0.5, processes: 50 }
  const jail = { name: 'web1', client: 'acme', host: 'host1', world: 'tiny', limits } as Jail
  const noteOf = (more: Partial<Jail['command'] & object>, state: Jail['state'] = 'running') => {
    const command = { argv: ['/bin/x'], state: 'exited' as const, startedAt: at, endedAt: at, ...more }
    return jailTable([{ ...jail, addresses: ['10.0.0.7/24'], state, command }])[1]
      ?.split('10.0.0.7/24')[1]
      ?.trim()
  }
  expect(noteOf({ exitCode: 78 })).toMatch(/^its command .*78/)
  expect(noteOf({ signal: 'SIGKILL' })).toMatch(/^its command .*SIGKILL/)
  expect(noteOf({ exitCode: 0 })).toBe('')
  expect(noteOf({ state: 'running' })).toBe('')
  expect(noteOf({ exitCode: 143 }, 'stopped')).toBe('')
})
