import { expect, test } from 'vitest'
import { formatOf, openRows, parseFile } from '../../../cli/http/open-rows.ts'

test.each([
  ['clients.csv', 'csv'],
  ['CLIENTS.CSV', 'csv'],
  ['a.b.ndjson', 'ndjson'],
  ['./x/y.jsonl', 'ndjson'],
  ['y.json', 'json'],
  ['csv', undefined],
  ['y.csv.gz', undefined],
  ['-', undefined],
])('knows by its extension the format of %s', (file, format) => {
  expect(formatOf(file)).toBe(format)
})

test('refuses anything but a file before it sends anything', () => {
  expect(() => parseFile('/nowhere/clients.csv')).toThrow('There is no such file.')
  expect(() => parseFile('/')).toThrow('It is a directory.')
  expect(parseFile('-')).toBe('-')
})

test('reads a file repeatedly, a device only once', () => {
  expect(openRows(import.meta.filename).isRepeatable).toBe(true)
  expect(openRows('/dev/null').isRepeatable).toBe(false)
})
