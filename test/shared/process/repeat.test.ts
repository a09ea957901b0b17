import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Pass, repeat } from '#shared/process/repeat.ts'
import { makeServices } from '#shared/process/services.ts'

/** Work whose passes a test ends, with or without an error. */
function makeWork() {
  const passes: PromiseWithResolvers<void>[] = []
  return {
    passes,
    work(): Promise<void> {
      const pass = Promise.withResolvers<void>()
      passes.push(pass)
      return pass.promise
    },
  }
}

const tick = () => vi.advanceTimersByTimeAsync(0)

describe('repeated work', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('is done periodically, and skipped while a pass is under way', async () => {
    const { passes, work } = makeWork()
    const repeated = repeat('work', 100, work)
    expect(passes.length).toBe(0)
    await vi.advanceTimersByTimeAsync(350)
    expect(passes.length).toBe(1)
    passes[0]?.resolve()
    await vi.advanceTimersByTimeAsync(100)
    expect(passes.length).toBe(2)
    passes[1]?.resolve()
    await repeated.stop()
  })

  test('is done once more after a pass during which it was asked for once or more', async () => {
    const { passes, work } = makeWork()
    const repeated = repeat('work', 1_000, work)
    const first = repeated.now()
    const [second, third] = [repeated.now(), repeated.now()]
    await tick()
    expect(passes.length).toBe(1)
    passes[0]?.resolve()
    await first
    await tick()
    expect(passes.length).toBe(2)
    passes[1]?.resolve()
    await Promise.all([second, third])
    await tick()
    expect(passes.length).toBe(2)
    await repeated.stop()
  })

  test('goes on after a failed pass, whose error both its caller and the observer get', async () => {
    const { passes, work } = makeWork()
    const reported: Pass[] = []
    const repeated = repeat('work', 100, work, (pass) => void reported.push(pass))
    const asked = repeated.now()
    const next = repeated.now()
    passes[0]?.reject(new Error('no'))
    await expect(asked).rejects.toThrow('no')
    await tick()
    passes[1]?.resolve()
    await next
    // Nobody awaits this one.
    await vi.advanceTimersByTimeAsync(100)
    passes[2]?.reject(new Error('nor now'))
    await vi.advanceTimersByTimeAsync(100)
    expect(passes.length).toBe(4)
    expect(reported).toEqual([
      { name: 'work', seconds: expect.any(Number), error: new Error('no') },
      { name: 'work', seconds: expect.any(Number) },
      { name: 'work', seconds: 0.0, error: new Error('nor now') },
    ])
    passes[3]?.resolve()
    await repeated.stop()
  })

  test('is stopped once its pass has ended, and not done again', async () => {
    const { passes, work } = makeWork()
    const repeated = repeat('work', 100, work)
    void repeated.now()
    const late = repeated.now()
    let isStopped = false
    const stopping = repeated.stop().then(() => {
      isStopped = true
    })
    await tick()
    expect(isStopped).toBe(false)
    passes[0]?.resolve()
    await stopping
    await late
    await repeated.now()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(passes.length).toBe(1)
  })
})

test('services are stopped one after another in reverse order, also when one fails', async () => {
  const stopped: string[] = []
  const warnings: unknown[] = []
  const services = makeServices({ warn: (...args: unknown[]) => void warnings.push(args) } as never)
  const first = services.add({ name: 'first', stop: () => void stopped.push('first') })
  services.add({
    name: 'second',
    stop() {
      stopped.push('second')
      throw new Error('no')
    },
  })
  services.add({
    name: 'third',
    async stop() {
      await Promise.resolve()
      stopped.push('third')
    },
  })
  expect(first.name).toBe('first')
  await expect(services.stop()).rejects.toThrow('no')
  expect(stopped).toEqual(['third', 'second', 'first'])
  expect(warnings).toEqual([[{ err: new Error('no'), service: 'second' }, 'could not be stopped in order']])
})

test('no background work begins while services that were started after it are stopped', async () => {
  vi.useFakeTimers()
  const { passes, work } = makeWork()
  const slow = Promise.withResolvers<void>()
  const services = makeServices({ warn: () => undefined } as never)
  services.add(repeat('work', 100, work))
  services.add({ name: 'slow', stop: () => slow.promise })
  const stopping = services.stop()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(passes.length).toBe(0)
  slow.resolve()
  await stopping
  vi.useRealTimers()
})
