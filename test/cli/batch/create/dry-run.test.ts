import { expect, test } from 'vitest'
import { forecastLines } from '../../../../cli/batch/create/dry-run.ts'

const reason = 'No host has 64G of memory left.'

test('has the hosts with most jails first, the jails that fit nowhere, and how long it may take', () => {
  const rows = [
    { line: 2, name: 'web1', host: 'host1' },
    { line: 3, name: 'web2', host: 'host1', reason: 'the jail exists as asked' },
    { line: 12, name: 'shop', reason },
  ]
  const forecast = { rows, more: 2_997, hosts: { host1: 1_000, host2: 1_988 }, fits: false, eta: { p50: 600, p90: 900 } }
  expect(forecastLines(forecast)).toEqual([
    'HOST   JAILS',
    'host2  1,988',
    'host1  1,000',
    '',
    'LINE  JAIL  WHY IT FITS NOWHERE',
    `12    shop  ${reason}`,
    'and 10 more, which fit nowhere or are there already',
    '',
    '2,988 of 3,000 jails would be made in about 10 min 0 s, rarely over 15 min 0 s.',
    'There already, as asked: 1.',
  ])
})

test('has no table of hosts when nothing fits', () => {
  expect(forecastLines({ rows: [{ line: 2, name: 'shop', reason }], more: 0, hosts: {}, fits: false })).toEqual([
    'LINE  JAIL  WHY IT FITS NOWHERE',
    `2     shop  ${reason}`,
    '',
    '0 of 1 jails would be made.',
  ])
})

test('names the rows that would be left out, and counts those that exist already', () => {
  const skipped = [{ line: 4, field: 'name', message: 'is missing' }]
  expect(forecastLines({ rows: [], more: 7, hosts: { host1: 4 }, fits: true, skipped })).toEqual([
    '1 row is wrong and is left out:',
    '  LINE  FIELD  WHAT',
    '  4     name   is missing',
    'HOST   JAILS',
    'host1  4',
    '',
    '4 of 7 jails would be made.',
    'There already, as asked: 3.',
  ])
})
