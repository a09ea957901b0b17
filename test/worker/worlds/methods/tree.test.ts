import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { asker, openStore, test } from '../world-fixture.ts'

test('a directory that is no userland is told so by name, before anything of it is copied', async ({ kept, scratch }) => {
  await mkdir(join(scratch, 'debian/etc'), { recursive: true })
  await writeFile(join(scratch, 'README'), '')
  const log = asker('one')
  const { store, id } = await openStore(kept, [{ name: 'base', method: 'tree', path: scratch }])
  await expect(store.fill(id, log)?.done).rejects.toMatchObject({
    code: 'world_invalid',
    message: `World base has no directory /etc; at the top of ${scratch} there is README, debian.`,
    hint: expect.stringContaining('root of a userland'),
  })
  expect(log.records).toEqual([])
  expect(await kept.stages()).toEqual([])
})
