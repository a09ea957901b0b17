import { expect, test } from 'vitest'
import { printable } from '../../../cli/print/printable.ts'

test('what a jail prints cannot steer a terminal', () => {
  expect(printable('ä\tb\r\nc\u001b]0;title\u0007\u009b2J\0')).toBe('ä\tb\nc\ufffd]0;title\ufffd\ufffd2J\ufffd')
})
