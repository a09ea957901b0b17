import { expect, test } from 'vitest'
import { quoteWords } from '../../../cli/print/quote-words.ts'

test('each word of a command can be told from the next', () => {
  expect(quoteWords(['/bin/echo', '-n', 'a b', '', '"', '$HOME', 'a\u001b[31m'])).toBe(
    '/bin/echo -n "a b" "" "\\"" "$HOME" "a\\u001b[31m"',
  )
})
