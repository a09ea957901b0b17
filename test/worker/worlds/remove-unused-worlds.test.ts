import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { WorldId } from '#shared/job.ts'
import { type Repeated, repeat } from '#shared/process/repeat.ts'
import { makeRemoveUnusedWorlds } from '../../../worker/worlds/remove-unused-worlds.ts'

const minute = 60_000
const log = { info() {}, warn() {} }
const old: WorldId = { name: 'app', digest: 'a1'.repeat(32) }
const older: WorldId = { name: 'app', digest: 'b2'.repeat(32) }

let repeated: Repeated
beforeEach(() => vi.useFakeTimers())
afterEach(async () => {
  await repeated.stop()
  vi.useRealTimers()
})

/** A store with filled worlds that the configuration no longer has. */
function watch(filled: WorldId[], used: () => WorldId[]) {
  let worlds = filled
  const removed: WorldId[] = []
  const remove = vi.fn(async (world: WorldId) => {
    removed.push(world)
    worlds = worlds.filter((each) => each !== world)
  })
  const pass = makeRemoveUnusedWorlds({ worlds: { unlisted: () => worlds, remove }, used, log, unusedMs: 60 * minute })
  repeated = repeat('remove-unused-worlds', 10 * minute, pass)
  return { removed, remove }
}

describe('a world that the configuration no longer has', () => {
  test('is removed when it was unused for an hour, not before', async () => {
    const { removed } = watch([old], () => [])
    await vi.advanceTimersByTimeAsync(69 * minute)
    expect(removed).toEqual([])
    await vi.advanceTimersByTimeAsync(minute)
    expect(removed).toEqual([old])
  })

  test('stays while a jail is made of it, by name and by definition', async () => {
    const { removed } = watch([old, older], () => [old])
    await vi.advanceTimersByTimeAsync(200 * minute)
    expect(removed).toEqual([older])
  })

  test('has its hour anew when a jail was made of it meanwhile', async () => {
    let used: WorldId[] = []
    const { removed } = watch([old], () => used)
    await vi.advanceTimersByTimeAsync(50 * minute)
    used = [old]
    await vi.advanceTimersByTimeAsync(10 * minute)
    used = []
    await vi.advanceTimersByTimeAsync(60 * minute)
    expect(removed).toEqual([])
    await vi.advanceTimersByTimeAsync(10 * minute)
    expect(removed).toEqual([old])
  })

  test('stays when a jail of it comes while another is removed', async () => {
    let used: WorldId[] = []
    const { removed, remove } = watch([older, old], () => used)
    remove.mockImplementationOnce(async (world) => {
      removed.push(world)
      used = [old]
    })
    await vi.advanceTimersByTimeAsync(70 * minute)
    expect(removed).toEqual([older])
  })

  test('is tried again when it could not be removed', async () => {
    const { removed, remove } = watch([old], () => [])
    remove.mockRejectedValueOnce(new Error('busy'))
    await vi.advanceTimersByTimeAsync(70 * minute)
    expect(removed).toEqual([])
    await vi.advanceTimersByTimeAsync(10 * minute)
    expect(removed).toEqual([old])
  })
})
