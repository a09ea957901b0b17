import { expect, test } from 'vitest'
import { tableLines } from '../../../cli/print/table.ts'

test('aligns columns and leaves no blanks at the end of a line', () => {
  expect(
    tableLines(
      ['JAIL', 'STATE', 'HOST'],
      [
        ['web1', 'running', 'dev-1'],
        ['a_long_name', 'failed', ''],
      ],
    ),
  ).toEqual(['JAIL         STATE    HOST', 'web1         running  dev-1', 'a_long_name  failed'])
})
