import { expect, test } from 'vitest'
import { makeFaultCauses } from '../../../../producer/batches/faults/fault-causes.ts'

test('faults are grouped by cause and value, the most frequent first, however many there are', () => {
  const causes = makeFaultCauses()
  let suggested = 0
  const suggest = () => {
    suggested += 1
    return 'acme-gmbh'
  }
  for (let line = 2; line < 10_002; line += 1) causes.add(line, { field: 'name', message: 'is wrong', value: `Web ${line}` })
  for (let line = 2; line < 12; line += 1) causes.add(line, { field: 'client', message: 'is wrong', value: 'Acme GmbH', suggest })
  causes.add(3, { field: 'name', message: 'x stands in line 2 already', cause: 'stands twice', value: 'x' })
  for (let i = 0; i < 100; i += 1) causes.add(4, { field: 'line', message: `is not JSON: ${i}` })

  const list = causes.list()
  expect(list.slice(0, 2)).toEqual([
    { field: 'name', message: 'is wrong', value: 'Web 2', count: 1, lines: [2] },
    { field: 'name', message: 'is wrong', value: 'Web 3', count: 1, lines: [3] },
  ])
  expect(list.slice(20, 23)).toEqual([
    { field: 'name', message: 'is wrong', count: 9_980, lines: [22, 23, 24, 25, 26] },
    { field: 'client', message: 'is wrong', value: 'Acme GmbH', suggestion: 'acme-gmbh', count: 10, lines: [2, 3, 4, 5, 6] },
    { field: 'name', message: 'stands twice', value: 'x', count: 1, lines: [3] },
  ])
  expect([list.length, suggested]).toEqual([70, 1])
})
