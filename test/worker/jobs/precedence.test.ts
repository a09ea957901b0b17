import { expect, test } from 'vitest'
import { makePrecedence } from '../../../worker/jobs/precedence.ts'

const never = new AbortController().signal
const long = 60_000

/** What is at work until it is told to end. */
function workOf(way: ReturnType<typeof makePrecedence>) {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { ended: way.first(() => promise), end: resolve }
}

async function hasPassed(turn: Promise<void>): Promise<boolean> {
  return Promise.race([turn.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))])
}

test('a batch goes on at once where nobody else is at work', async () => {
  expect(await hasPassed(makePrecedence(long).waitForOthers(never))).toBe(true)
})

test('a batch waits until all who are ahead of it have ended, also those that came later or failed', async () => {
  const way = makePrecedence(long)
  const first = workOf(way)
  const turn = way.waitForOthers(never)
  const second = workOf(way)
  first.end()
  await first.ended
  expect(await hasPassed(turn)).toBe(false)
  second.end()
  await second.ended
  await turn
  await expect(way.first(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await hasPassed(way.waitForOthers(never))).toBe(true)
})

test('a batch waits no longer than so long, nor once it is cancelled', async () => {
  const way = makePrecedence(1)
  const { ended, end } = workOf(way)
  await way.waitForOthers(never)
  const patient = makePrecedence(long)
  const other = workOf(patient)
  await patient.waitForOthers(AbortSignal.abort())
  for (const finish of [end, other.end]) finish()
  await Promise.all([ended, other.ended])
})
