import { expect, test } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { runCommand } from '../../../worker/plans/steps/run-command.ts'

const failing = {
  startCommand: async () => {
    throw new ProvostError('command_failed', '/no/such ended with exit code 255.', { command: '/no/such', exitCode: 255 })
  },
}

function run(jail: Partial<JailSpec>): Promise<unknown> {
  return runCommand.run({ host: failing, jail } as never).then(
    () => undefined,
    (error: unknown) => error,
  )
}

test('a command that cannot be started is not for a retry to mend', async () => {
  expect(await run({ command: ['/no/such'] })).toMatchObject({
    code: 'command_failed',
    hint: expect.stringMatching(/destroy the jail and create it with another one/),
    facts: { command: '/no/such', exitCode: 255 },
  })
  // The world's own rc may succeed the next time.
  expect(await run({})).toMatchObject({ code: 'command_failed', hint: expect.stringMatching(/then retry/) })
})
