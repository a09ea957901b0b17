import { expect, test } from 'vitest'
import { hostTable } from '../../../cli/hosts/list.ts'
import { makeHost } from '../../support/samples/host.ts'

const now = Date.parse('2026-01-01T00:00:02.000Z')

test('has open operations and drift of each host, and why one is not up', () => {
  const down = makeHost({ id: 'host2', state: 'down', reason: 'silent for more than 10 s', worlds: [], operations: 0, drift: 12 })
  expect(hostTable([makeHost(), down], now)).toEqual([
    'HOST   STATE  RUNTIME  JAILS  MEMORY    CPU     OPERATIONS  DRIFT  READY WORLDS  SEEN',
    'host1  up     linux    3/200  192M/64G  0.3/16  4           0      busybox       2 s ago',
    'host2  down   linux    3/200  192M/64G  0.3/16  0           12     -             2 s ago  silent for more than 10 s',
  ])
})

test('says by how much the clock of a host is off', () => {
  const note = (clockOffsetMs: number) => hostTable([makeHost({ clockOffsetMs })], now)[1]?.split('2 s ago  ')[1]
  expect(note(-7_197_000)).toBe('its clock is 1 h 59 min behind Redis')
  expect(note(90_000)).toBe('its clock is 1 min 30 s ahead of Redis')
  expect(note(1_500)).toBeUndefined()
})
