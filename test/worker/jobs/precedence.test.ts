import { expect, test } from 'vitest'
import { makePrecedence } from '../../../worker/jobs/precedence.ts'

const never = new AbortController().signal
const long = 60_000

/** Starts work that goes on until `end` is called. */
function workOf(precedence: ReturnType<typeof makePrecedence>) {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { ended: precedence.first(() => promise), end: resolve }
}

async function hasPassed(turn: Promise<void>): Promise<boolean> {
  return Promise.race([turn.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))])
}

test('a batch goes on at once where nothing else runs', async () => {
  expect(await hasPassed(makePrecedence(long).waitForOthers(never))).toBe(true)
})

test('a batch waits until all who are ahead of it have ended, also those that came later or failed', async () => {
  const precedence = makePrecedence(long)
  const first = workOf(precedence)
  const turn = precedence.waitForOthers(never)
  const second = workOf(precedence)
  first.end()
  await first.ended
  expect(await hasPassed(turn)).toBe(false)
  second.end()
  await second.ended
  await turn
  await expect(precedence.first(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await hasPassed(precedence.waitForOthers(never))).toBe(true)
})

test('a batch waits no longer than so long, nor once it is cancelled', async () => {
  const precedence = makePrecedence(1)
  const { ended, end } = workOf(precedence)
  await precedence.waitForOthers(never)
  const patient = makePrecedence(long)
  const other = workOf(patient)
  await patient.waitForOthers(AbortSignal.abort())
  for (const finish of [end, other.end]) finish()
  await Promise.all([ended, other.ended])
})
