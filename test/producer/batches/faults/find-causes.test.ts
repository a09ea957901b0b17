import { expect, test } from 'vitest'
import { fingerprint } from '../../../../producer/batches/faults/find-causes.ts'

test.each([
  ['a', 'cp: cannot make a file: /jails/a: no space left (5)', 'cp: cannot make <name> file: /jails/<name>: no space left (<n>)'],
  [
    'web1',
    'zfs: tank/jails/web1@new (web12, web1_tmp) failed on h.1',
    'zfs: tank/jails/<name>@new (web<n>, <name>_tmp) failed on <name>',
  ],
  [
    'web1',
    'host h-1 h.1: 10.0.0.7/24, fd00::7, 0b8e3c1a-0000-7000-8000-00000000000b',
    'host h-<n> <name>: <address>, <address>, <id>',
  ],
])('of a failure of %s what differs between rows is taken out: %s', (name, message, expected) => {
  expect(fingerprint(message, [name, 'h.1'])).toBe(expected)
})

test('rows with short names share a cause', () => {
  const of = (name: string) => fingerprint(`cannot make the root of ${name}: no space`, [name])
  expect(new Set(['a', 'e', 'ro', 'cannot1', 'root_a'].map(of)).size).toBe(1)
})
