import { lstat, opendir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, ProvostError } from '#shared/errors.ts'
import type { TreeWorld } from '../../config/world.ts'
import { pack, unpack } from '../files/unpack.ts'
import { etcOf } from '../files/world-files.ts'
import type { FillContext, WorldMethod } from '../world-method.ts'

const timeoutMs = 3_600_000

/** Copies a directory with owners, times, links and attributes, without what is mounted below it. */
export const tree: WorldMethod<TreeWorld> = async (context) => {
  const source = await sourceOf(context.world)
  const total = await countEntries(source, (await lstat(source)).dev, context.signal)
  return context.platform.startsWith('freebsd/') ? copyByTar(source, total, context) : copyByCp(source, total, context)
}

async function copyByCp(source: string, total: number, { directory, run, signal, progress }: FillContext<TreeWorld>) {
  let copied = 0
  await run('cp', ['-a', '-x', '-v', `${source}/.`, directory], {
    signal,
    timeoutMs,
    onOutput: (text) => {
      copied += text.split('\n').length - 1
      progress(copied / total)
    },
  })
}

/**
 * FreeBSD's cp(1) makes each hard link a file of its own, and /rescue alone has 150 names for one large file. tar keeps links and
 * file flags; its archive lies in the new tree meanwhile.
 */
async function copyByTar(source: string, total: number, context: FillContext<TreeWorld>): Promise<void> {
  const { directory, platform, run, signal, progress } = context
  const file = join(directory, '.provost-tree')
  try {
    const half = (done: number) => progress(Math.min(1, done) / 2)
    const packed = await pack({ source, file, platform, run, signal }, (entries) => half(entries / total))
    const unpacked = (done: number) => progress(0.5 + done / 2)
    await unpack({ file, directory, platform, total: packed, run, signal, progress: unpacked })
  } finally {
    await rm(file, { force: true })
  }
}

async function sourceOf({ name, path }: TreeWorld): Promise<string> {
  try {
    const source = await realpath(path)
    if ((await lstat(source)).isDirectory()) {
      // Before all of it is copied, as the fill would find it only then.
      await etcOf(source, name, path)
      return source
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  throw new ProvostError('world_source_missing', `The directory ${path} of world ${name} does not exist.`)
}

async function countEntries(directory: string, device: number, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted()
  let count = 1
  for await (const entry of await opendir(directory)) {
    const path = join(directory, entry.name)
    const below = entry.isDirectory() && (await lstat(path)).dev === device
    count += below ? await countEntries(path, device, signal) : 1
  }
  return count
}
