import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import { until } from '../../../support/until.ts'
import { asker, openStore, test } from '../world-fixture.ts'

const definition = { name: 'deadly', method: 'tree', path: '/nowhere', prefill: true }

test('a fill that has ended its worker three times is refused to each who waited, once', async ({ kept }) => {
  const stage = vi.spyOn(kept.host, 'stageWorld').mockReturnValue(new Promise(() => undefined))
  const waiting = async (count: number) => {
    await until('the fill to begin', async () => stage.mock.calls.length > 0)
    expect(await readdir(join(kept.root, 'fills'))).toHaveLength(count)
    stage.mockClear()
  }
  for (let kills = 1; kills <= 3; kills += 1) {
    const { store, ids } = await openStore(kept, [definition])
    store.prefill()
    for (const id of ids) store.fill(id, asker('one/1'))
    await waiting(2)
  }

  const { store, id } = await openStore(kept, [definition])
  store.prefill()
  expect(store.states()[0]).toMatchObject({ state: 'failed', error: expect.stringContaining('poisoned') })
  expect(() => store.fill(id, asker('one/1'))).toThrow('three times')
  expect(stage).not.toHaveBeenCalled()
  expect(store.fill(id, asker('one/2'))).toBeDefined()
  await waiting(1)
})

test('who hears of the end of a fill, or leaves it, is not counted', async ({ kept }) => {
  const { store, id } = await openStore(kept, [definition])
  await expect(store.fill(id, asker('one/1'))?.done).rejects.toMatchObject({ code: 'world_source_missing' })
  store.fill(id, asker('two/1'))?.leave('two/1')
  await until('nobody to be noted', async () => (await readdir(join(kept.root, 'fills'))).length === 0)
})
