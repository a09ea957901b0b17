import { expect, test } from 'vitest'
import { makeJailLocks } from '../../../worker/jails/jail-locks.ts'

/** Work that goes on until it is aborted, or until it may end. */
function work(order: string[], name: string, signal?: AbortSignal) {
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
  const aborted = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()))
  const run = async () => {
    order.push(`${name} begins`)
    await Promise.race([mayEnd, aborted])
    order.push(signal?.aborted ? `${name} yields` : `${name} ends`)
  }
  return { run, end }
}

test('what comes for a jail ends what has it and yields, and waits for what does not', async () => {
  const withJail = makeJailLocks()
  const order: string[] = []
  const yields = new AbortController()
  const revival = withJail('web1', work(order, 'revival', yields.signal).run, { yields })
  const look = work(order, 'look')
  const other = work(order, 'other')
  const looked = withJail('web1', look.run)
  void withJail('web2', other.run)
  await new Promise(setImmediate)
  expect(order).toEqual(['revival begins', 'other begins'])
  const destroy = work(order, 'destroy')
  const destroyed = withJail('web1', destroy.run, { comes: new Error('a destroy') })
  await revival
  for (const each of [look, destroy, other]) each.end()
  await Promise.all([looked, destroyed])
  expect(order.filter((line) => !line.startsWith('other'))).toEqual([
    'revival begins',
    'revival yields',
    'look begins',
    'look ends',
    'destroy begins',
    'destroy ends',
  ])
  expect(yields.signal.reason).toEqual(new Error('a destroy'))
})

test('what does not come for the jail ends nothing', async () => {
  const withJail = makeJailLocks()
  const order: string[] = []
  const yields = new AbortController()
  const revival = work(order, 'revival', yields.signal)
  const revived = withJail('web1', revival.run, { yields })
  const look = work(order, 'look')
  look.end()
  const looked = withJail('web1', look.run)
  revival.end()
  await Promise.all([revived, looked])
  expect(order).toEqual(['revival begins', 'revival ends', 'look begins', 'look ends'])
})
