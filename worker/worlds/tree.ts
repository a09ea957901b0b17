import { lstat, opendir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, ProvostError } from '#shared/errors.ts'
import type { TreeWorld } from './world.ts'
import type { WorldMethod } from './world-method.ts'

const timeoutMs = 3_600_000

/** A copy of a directory with owners, times, links and attributes; what is mounted below it stays out. */
export const tree: WorldMethod<TreeWorld> = async ({ world, directory, run, signal, progress }) => {
  const source = await sourceOf(world)
  const total = await countEntries(source, (await lstat(source)).dev, signal)
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

async function sourceOf({ name, path }: TreeWorld): Promise<string> {
  try {
    const source = await realpath(path)
    if ((await lstat(source)).isDirectory()) return source
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
