import { expect, test } from 'vitest'
import { type ErrorCode, errorCodes, hintOf } from '#shared/errors.ts'
import { batchCommand } from '../../../cli/batch/batch.ts'
import { hostsCommand } from '../../../cli/hosts/list.ts'
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

const context = { client: () => expect.unreachable(), print: () => undefined }
const groups = [hostsCommand(context), batchCommand(context)]

test.each(errorCodes.map((code): [ErrorCode, string] => [code, cliHint(hintOf(code))]))(
  'the hint of %s names verbs that there are',
  (_, hint) => {
    for (const group of groups)
      for (const [, verb = ''] of hint.matchAll(RegExp(`provost ${group.name()} (\\w+)`, 'g')))
        expect(group.commands.map((command) => command.name())).toContain(verb)
  },
)

test('a hint is read as a sentence', () => {
  expect(cliHint(hintOf('unauthorized'))).toBe('Set PROVOST_API_KEY to a key of this fleet.')
})

test.each(['GET /v1/hosts', 'GET /fleet/v1/hosts'])('%s is a command, also below a path', (call) => {
  expect(cliHint(`${call} lists the hosts of the fleet.`)).toBe('`provost hosts` lists the hosts of the fleet.')
})

test('the hint of a refused file names flags', () => {
  const faults = makeFaults()
  faults.add(2, 1, [{ field: 'client', message: 'is wrong', value: 'Acme GmbH' }])
  expect(cliHint(faultyRows(faults).hint)).toBe(
    'Correct the named rows and send the file again, or send it with --skip-invalid to leave them out. ' +
      '--rejects FILE leaves them out, too, and writes them into a file to correct. ' +
      'A client is an id; what people call it stands in the column clientName, or --client-name.',
  )
})
