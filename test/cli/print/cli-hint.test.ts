import { expect, test } from 'vitest'
import { type ErrorCode, errorCodes, hintOf } from '#shared/errors.ts'
import { cliHint } from '../../../cli/print/cli-hint.ts'
import { faultyRows, makeFaults } from '../../../producer/batches/faults/faults.ts'

/** What only somebody who writes HTTP has to do with. */
const http = /\b(GET|POST|DELETE) \/|\bheader\b|Idempotency-Key|Retry-After|Content-Type|skipInvalid|Authorization/

test.each(errorCodes.map((code): [ErrorCode, string] => [code, hintOf(code)]))(
  'the hint of %s is in words of commands',
  (_, hint) => {
    expect(cliHint(hint)).not.toMatch(http)
  },
)

test('the hint of a refused file names flags', () => {
  const faults = makeFaults()
  faults.add(2, 1, [{ field: 'client', message: 'is wrong', value: 'Acme GmbH' }])
  expect(cliHint(faultyRows(faults).hint)).toBe(
    'Correct the named rows and send the file again, or send it with --skip-invalid to leave them out. ' +
      '--rejects FILE leaves them out, too, and writes them into a file to correct. ' +
      'A client is an id; what people call it stands in the column clientName, or --client-name.',
  )
})
