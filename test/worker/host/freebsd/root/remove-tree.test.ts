import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { removeTree } from '../../../../../worker/host/freebsd/root/remove-tree.ts'
import { test } from '../host-test.ts'

test('removes a tree, but nothing of one that is a mount point or has one below', async ({ open }) => {
  const { run, kernel, directory } = await open()
  const tree = join(directory, 'tree')
  mkdirSync(join(tree, 'a/b'), { recursive: true })
  for (const point of [tree, join(tree, 'a/b')]) {
    kernel.mounts.push({ device: '/home', point, fsType: 'nullfs' })
    await expect(removeTree(run, tree)).rejects.toMatchObject({ code: 'resource_busy', retryable: true })
    kernel.mounts.pop()
  }
  expect(existsSync(join(tree, 'a/b'))).toBe(true)
  kernel.mounts.push({ device: '/home', point: `${tree}-other`, fsType: 'nullfs' })
  await removeTree(run, tree)
  expect(existsSync(tree)).toBe(false)
})
