import { expect, test } from 'vitest'
import { changeBatch } from '../../../cli/batch/change-batch.ts'
import { makeBatch } from '../../support/samples/batch.ts'

async function printed(verb: 'cancel' | 'retry', more: object): Promise<string[]> {
  const lines: string[] = []
  const body = { batch: makeBatch(), ...more }
  const client = () => ({ send: async () => ({ body, text: JSON.stringify(body) }) })
  const context = { client, print: (...texts: string[]) => void lines.push(...texts) }
  await changeBatch(context as never, 'b1', verb, {})
  return lines
}

test('says that nothing was done where a batch has not changed, and nothing of it when an older producer does not tell', async () => {
  const status = expect.stringMatching(/^Batch /)
  expect((await printed('cancel', { changed: false })).slice(0, 2)).toEqual(['Nothing was done: it has ended already.', status])
  expect((await printed('retry', { changed: false }))[0]).toBe('Nothing was done: nothing of it has failed.')
  for (const more of [{ changed: true }, {}]) expect((await printed('retry', more))[0]).toEqual(status)
})
