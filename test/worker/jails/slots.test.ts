import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Asking, makeSlots } from '../../../worker/jails/slots.ts'

const never = new AbortController().signal

/** Opens slots and notes in order who got one; `leave` returns the slot of a name. */
function openGate(count: number) {
  const slots = makeSlots(count)
  const came: string[] = []
  const givers = new Map<string, () => void>()
  return {
    came,
    async ask(name: string, asking: Asking, { signal = never, client = name } = {}): Promise<void> {
      void slots.take(asking, client, signal).then((giveBack) => {
        came.push(giveBack ? name : `${name} gave up`)
        if (giveBack) givers.set(name, giveBack)
      })
      await setImmediate()
    },
    async leave(name: string): Promise<void> {
      givers.get(name)?.()
      await setImmediate()
    },
  }
}

describe('slots', () => {
  test('are as many as there are, and the next who waits gets what is given back', async () => {
    const gate = openGate(2)
    for (const name of ['a', 'b', 'c', 'd']) await gate.ask(name, 'interactive')
    expect(gate.came).toEqual(['a', 'b'])
    await gate.leave('a')
    expect(gate.came).toEqual(['a', 'b', 'c'])
    await gate.leave('a')
    expect(gate.came).toEqual(['a', 'b', 'c'])
  })

  test('are never all taken by batches', async () => {
    const gate = openGate(3)
    for (const name of ['a', 'b', 'c']) await gate.ask(name, 'batch')
    expect(gate.came).toEqual(['a', 'b'])
    await gate.ask('signup', 'interactive')
    expect(gate.came).toEqual(['a', 'b', 'signup'])
    await gate.leave('signup')
    expect(gate.came).toEqual(['a', 'b', 'signup'])
    await gate.leave('b')
    expect(gate.came).toEqual(['a', 'b', 'signup', 'c'])
  })

  test('go to the client who has the fewest, then to who came first', async () => {
    const gate = openGate(2)
    for (const name of ['a', 'b', 'c', 'd']) await gate.ask(name, 'interactive', { client: 'many' })
    await gate.ask('one', 'interactive', { client: 'one' })
    await gate.ask('two', 'interactive', { client: 'two' })
    for (const name of ['a', 'one', 'b', 'two']) await gate.leave(name)
    expect(gate.came).toEqual(['a', 'b', 'one', 'two', 'c', 'd'])
  })

  test('go to whoever is interactive before any batch that waited longer', async () => {
    const gate = openGate(2)
    await gate.ask('first', 'interactive')
    await gate.ask('second', 'interactive')
    await gate.ask('batch', 'batch')
    await gate.ask('signup', 'interactive')
    await gate.leave('first')
    expect(gate.came).toEqual(['first', 'second', 'signup'])
    await gate.leave('second')
    expect(gate.came).toEqual(['first', 'second', 'signup', 'batch'])
  })

  test('of a host with one slot may be taken by a batch', async () => {
    const gate = openGate(1)
    await gate.ask('a', 'batch')
    await gate.ask('b', 'batch')
    expect(gate.came).toEqual(['a'])
  })

  test('are not waited for after a cancel, and none is lost by it', async () => {
    const gate = openGate(1)
    const cancel = new AbortController()
    await gate.ask('a', 'interactive')
    await gate.ask('b', 'interactive', { signal: cancel.signal })
    await gate.ask('c', 'interactive')
    cancel.abort()
    await setImmediate()
    await gate.ask('late', 'interactive', { signal: cancel.signal })
    expect(gate.came).toEqual(['a', 'b gave up', 'late gave up'])
    await gate.leave('a')
    expect(gate.came).toEqual(['a', 'b gave up', 'late gave up', 'c'])
  })
})
