import { expect, test } from 'vitest'
import { makeGiveWay } from '../../../worker/jobs/precedence.ts'

const never = new AbortController().signal
const long = 60_000

/** What is at work until it is told to end. */
function workOf(way: ReturnType<typeof makeGiveWay>) {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { ended: way.ahead(() => promise), end: resolve }
}

async function hasPassed(turn: Promise<void>): Promise<boolean> {
  return Promise.race([turn.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))])
}

test('a batch goes on at once where nobody else is at work', async () => {
  expect(await hasPassed(makeGiveWay(long).turn(never))).toBe(true)
})

test('a batch waits until all who are ahead of it have ended, also those that came later or failed', async () => {
  const way = makeGiveWay(long)
  const first = workOf(way)
  const turn = way.turn(never)
  const second = workOf(way)
  first.end()
  await first.ended
  expect(await hasPassed(turn)).toBe(false)
  second.end()
  await second.ended
  await turn
  await expect(way.ahead(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await hasPassed(way.turn(never))).toBe(true)
})

test('a batch waits no longer than so long, nor once it is cancelled', async () => {
  const way = makeGiveWay(1)
  const { ended, end } = workOf(way)
  await way.turn(never)
  const patient = makeGiveWay(long)
  const other = workOf(patient)
  await patient.turn(AbortSignal.abort())
  for (const finish of [end, other.end]) finish()
  await Promise.all([ended, other.ended])
})
