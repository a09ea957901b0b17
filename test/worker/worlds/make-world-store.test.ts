import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, vi } from 'vitest'
import { asker, openStore, test } from './world-fixture.ts'

const absent = { name: 'absent', method: 'tree', path: '/nowhere/at/all' }

async function makeTree(scratch: string, name = 'source') {
  const path = join(scratch, name)
  await mkdir(join(path, 'etc'), { recursive: true })
  await writeFile(join(path, 'etc/motd'), `${name}\n`)
  await writeFile(join(path, 'etc/hostname'), 'the-host\n')
  return { name, method: 'tree', path }
}

describe('a world store', () => {
  test('fills a world once for ten who ask at once, and logs its commands for all ten', async ({ kept, scratch }) => {
    const { store, id } = await openStore(kept, [await makeTree(scratch)])
    const askers = Array.from({ length: 10 }, (_, i) => asker(`operation-${i}`))
    const fills = askers.map((each) => store.fill(id, each))
    expect(store.states()[0]).toMatchObject({ name: 'source', state: 'filling', percent: 0 })
    await Promise.all(fills.map((fill) => fill?.done))

    expect(askers.map(({ records }) => records.map(({ command }) => command.split(' ')[0]))).toEqual(Array(10).fill(['cp']))
    expect(store.isReady(id)).toBe(true)
    expect(store.fill(id, asker('late'))).toBeUndefined()
    expect(store.states()[0]).toMatchObject({ state: 'ready' })
    expect(await readFile(join(kept.host.worldTree(id), 'etc/motd'), 'utf8')).toBe('source\n')
    expect(await kept.stages()).toEqual([])
  })

  test('keeps a filled world for the next worker, and removes what a killed one left half filled', async ({ kept, scratch }) => {
    const definition = await makeTree(scratch)
    const first = await openStore(kept, [definition])
    const { id } = first
    await first.store.fill(id, asker('one'))?.done
    await kept.host.stageWorld({ name: 'half', digest: '0' })

    const second = await openStore(kept, [definition])
    expect(second.store.isReady(id)).toBe(true)
    expect(await kept.stages()).toEqual([])
  })

  test('fills a world again that was taken away: at a look, and for whoever asks first', async ({ kept, scratch }) => {
    const { store, id } = await openStore(kept, [await makeTree(scratch)])
    await store.fill(id, asker('one'))?.done
    store.look()
    expect(store.states()[0]).toMatchObject({ state: 'ready' })
    await kept.host.removeWorld(id)
    store.look()
    expect(store.states()[0]).toMatchObject({ state: 'filling' })
    await store.fill(id, asker('two'))?.done
    expect(store.states()[0]).toMatchObject({ state: 'ready' })
    await kept.host.removeWorld(id)
    await store.fill(id, asker('three'))?.done
    expect(await readFile(join(kept.host.worldTree(id), 'etc/motd'), 'utf8')).toBe('source\n')
  })

  test('fails once for each who waited, and starts anew for whoever asks then', async ({ kept, scratch }) => {
    const path = join(scratch, 'later')
    const { store, id } = await openStore(kept, [{ name: 'later', method: 'tree', path }])
    const failure = { code: 'world_source_missing', message: `The directory ${path} of world later does not exist.` }
    const waiting = [store.fill(id, asker('one')), store.fill(id, asker('two'))]
    for (const fill of waiting) await expect(fill?.done).rejects.toMatchObject(failure)
    expect(store.states()[0]).toMatchObject({ state: 'failed', error: `${failure.code}: ${failure.message}` })
    expect(await kept.stages()).toEqual([])

    expect(() => store.fill(id, asker('one'))).toThrow(failure.message)
    await makeTree(scratch, 'later')
    const anew = store.fill(id, asker('one'))
    expect(anew).toBeDefined()
    // An asker that has not come back yet still gets the failure of its own fill.
    expect(() => store.fill(id, asker('two'))).toThrow(failure.message)
    await anew?.done
    expect(store.fill(id, asker('two'))).toBeUndefined()
    expect(store.states()[0]).toMatchObject({ state: 'ready' })
  })

  test('fills no more worlds at once than it has slots', async ({ kept, scratch }) => {
    const { store, ids } = await openStore(kept, [await makeTree(scratch, 'one'), await makeTree(scratch, 'two')], { fills: 1 })
    let running = 0
    let most = 0
    const stage = kept.host.stageWorld
    vi.spyOn(kept.host, 'stageWorld').mockImplementation((world) => {
      most = Math.max(most, ++running)
      return stage(world)
    })
    const commit = kept.host.commitWorld
    vi.spyOn(kept.host, 'commitWorld').mockImplementation((world) => {
      running -= 1
      return commit(world)
    })
    await Promise.all(ids.map((id) => store.fill(id, asker(id.name))?.done))
    expect({ most, worlds: await kept.worlds() }).toEqual({ most: 1, worlds: ['one', 'two'] })
  })

  test('refuses a world that is not in the configuration, by name or by definition', async ({ kept }) => {
    const { store, id } = await openStore(kept, [absent])
    expect(() => store.fill({ name: 'other', digest: id.digest }, asker('one'))).toThrow(/no world other/)
    expect(() => store.fill({ name: 'absent', digest: '0'.repeat(64) }, asker('one'))).toThrow(/no world absent/)
  })

  test('prefills what is marked so, and nothing else', async ({ kept, scratch }) => {
    const { store, id } = await openStore(kept, [
      { ...(await makeTree(scratch, 'wanted')), prefill: true },
      await makeTree(scratch, 'unwanted'),
    ])
    store.prefill()
    await vi.waitFor(() => expect(store.isReady(id)).toBe(true))
    expect(await kept.worlds()).toEqual(['wanted'])
  })

  test('ends a fill at close, which is no failure for who waited', async ({ kept, scratch }) => {
    const { store, id } = await openStore(kept, [await makeTree(scratch)])
    const fill = store.fill(id, asker('one'))
    await store.close()
    await expect(fill?.done).rejects.toMatchObject({ code: 'cancelled' })
    expect(await kept.stages()).toEqual([])
    expect(await kept.worlds()).toEqual([])
    expect(store.states()[0]).toMatchObject({ state: 'absent' })
  })

  test('fills a world whose definition has changed beside the old one, which stays usable', async ({ kept, scratch }) => {
    const [before, after] = [await makeTree(scratch, 'before'), await makeTree(scratch, 'after')]
    const first = await openStore(kept, [{ ...before, name: 'app' }])
    const old = first.id
    await first.store.fill(old, asker('one'))?.done

    const second = await openStore(kept, [{ ...after, name: 'app' }])
    const anew = second.id
    expect(second.store.states()).toMatchObject([{ state: 'absent', digest: anew.digest }])
    await second.store.fill(anew, asker('two'))?.done
    expect(await kept.worlds()).toEqual(['app', 'app'])
    expect([old, anew].map(second.store.isReady)).toEqual([true, true])
    expect(second.store.unlisted()).toMatchObject([old])
  })

  test('says how long the last fill took, also to the next worker', async ({ kept, scratch }) => {
    const definition = await makeTree(scratch)
    const { store, id } = await openStore(kept, [definition])
    expect(store.states()[0]).not.toHaveProperty('fillMs')
    await store.fill(id, asker('one'))?.done
    const fillMs = store.states()[0]?.fillMs
    expect(fillMs).toEqual(expect.any(Number))
    expect((await openStore(kept, [definition])).store.states()[0]).toMatchObject({ state: 'ready', fillMs })
  })

  test('removes a world, which is not ready from then on', async ({ kept, scratch }) => {
    const { store, id } = await openStore(kept, [await makeTree(scratch)])
    await store.fill(id, asker('one'))?.done
    const removal = store.remove(id)
    expect(store.isReady(id)).toBe(false)
    await removal
    expect(await kept.worlds()).toEqual([])
    expect(store.states()[0]).toMatchObject({ state: 'absent' })
  })

  test('keeps a world that could not be removed', async ({ kept, scratch }) => {
    const { store, id } = await openStore(kept, [await makeTree(scratch)])
    await store.fill(id, asker('one'))?.done
    vi.spyOn(kept.host, 'removeWorld').mockRejectedValueOnce(new Error('busy'))
    await expect(store.remove(id)).rejects.toThrow('busy')
    expect(store.isReady(id)).toBe(true)
  })

  describe('when an operation leaves a fill', () => {
    test('ends it if nobody is left, as no failure of the world', async ({ kept, scratch }) => {
      const { store, id } = await openStore(kept, [await makeTree(scratch)])
      const fill = store.fill(id, asker('one'))
      store.fill(id, asker('two'))
      fill?.leave('one')
      fill?.leave('stranger')
      expect(store.states()[0]).toMatchObject({ state: 'filling' })
      fill?.leave('two')
      expect(store.states()[0]).toMatchObject({ state: 'absent' })
      await expect(fill?.done).rejects.toMatchObject({ code: 'cancelled' })
      expect({ stages: await kept.stages(), worlds: await kept.worlds() }).toEqual({ stages: [], worlds: [] })
      expect(store.states()[0]).toEqual(expect.not.objectContaining({ error: expect.anything() }))
    })

    test('fills anew for who asks at once, after the stage of the old is gone', async ({ kept, scratch }) => {
      const { store, id } = await openStore(kept, [await makeTree(scratch)], { fills: 2 })
      const { promise: released, resolve: release } = Promise.withResolvers<void>()
      const { promise: staged, resolve: hasStaged } = Promise.withResolvers<void>()
      const { stageWorld, discardStage } = kept.host
      const discarding = vi.spyOn(kept.host, 'discardStage')
      const stage = vi.spyOn(kept.host, 'stageWorld').mockImplementationOnce(async (world) => {
        const directory = await stageWorld(world)
        discarding.mockReset().mockImplementation(discardStage)
        discarding.mockImplementationOnce(async (left) => {
          await released
          return discardStage(left)
        })
        hasStaged()
        return directory
      })
      const left = store.fill(id, asker('one'))
      await staged
      left?.leave('one')
      const fill = store.fill(id, asker('one'))
      expect(store.states()[0]).toMatchObject({ state: 'filling' })
      await vi.waitFor(() => expect(discarding).toHaveBeenCalled())
      expect(stage).toHaveBeenCalledTimes(1)
      release()
      await expect(left?.done).rejects.toMatchObject({ code: 'cancelled' })
      await fill?.done
      expect(store.states()[0]).toMatchObject({ state: 'ready' })
    })

    test('goes on with a fill that is wanted anyway', async ({ kept, scratch }) => {
      const { store, id } = await openStore(kept, [{ ...(await makeTree(scratch)), prefill: true }])
      const fill = store.fill(id, asker('one'))
      fill?.leave('one')
      await fill?.done
      expect(store.isReady(id)).toBe(true)
    })
  })

  test('makes a Linux world neutral: no resolver and not the name of the host it came from', async ({ kept, scratch }) => {
    const { store, id } = await openStore(kept, [await makeTree(scratch)])
    await store.fill(id, asker('one'))?.done
    const tree = kept.host.worldTree(id)
    expect(await readFile(join(tree, 'etc/hostname'), 'utf8')).toBe('localhost\n')
    expect(await readFile(join(tree, 'etc/resolv.conf'), 'utf8')).toBe('')
  })
})
