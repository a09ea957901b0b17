import { expect, test } from 'vitest'
import { formatBytes } from '#shared/size.ts'
import { formatAge, formatCores, formatDuration, formatSeconds } from '../../../cli/print/amounts.ts'

test.each([
  [512, '512'],
  [64 * 1024 ** 2, '64M'],
  [1.5 * 1024 ** 3, '1.5G'],
  [2048 * 1024 ** 4, '2048T'],
])('formats %d bytes as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test('formats cores without the rounding errors of a sum', () => {
  expect([5.099999999999999, 0.1 + 0.2, 4].map(formatCores)).toEqual(['5.1', '0.3', '4'])
})

test.each([
  [-5, '0.0 s'],
  [1_234, '1.2 s'],
  [61_000, '1 min 1 s'],
  [3_720_000, '1 h 2 min'],
])('formats %d ms as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test.each([
  [0.01, '1 s'],
  [12.4, '12 s'],
  [59.7, '1 min 0 s'],
])('formats a rough time of %d seconds as %s', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text)
})

test.each([
  [3, '3 s'],
  [200, '3 min'],
  [7_300, '2 h'],
  [200_000, '2 d'],
])('formats an age of %d seconds as %s', (seconds, text) => {
  const now = Date.parse('2026-01-10T00:00:00Z')
  expect(formatAge(new Date(now - seconds * 1000).toISOString(), now)).toBe(text)
})
