import { existsSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { z } from 'zod'
import type { WorldId } from '#shared/job.ts'

/** The file beside the tree of a filled world. */
export const worldIdFile = 'world.json'

const Filled = z.object({ name: z.string(), digest: z.string(), fillMs: z.number().optional() })

/** A world in its place, and how long its fill took; undefined for one that an older worker has filled. */
export type FilledWorld = WorldId & { fillMs?: number }

/** Told under which name an id was set aside, and why. */
export type OnUnreadable = (setAside: string, error: unknown) => void

/**
 * Returns the worlds that id files name, of those that are there. One that cannot be read is set aside under another name, which
 * `onUnreadable` is told: its world is filled anew, and keeps no host from starting.
 */
export async function readWorldIds(files: string[], onUnreadable?: OnUnreadable): Promise<FilledWorld[]> {
  const read = async (file: string): Promise<FilledWorld[]> => {
    try {
      return [Filled.parse(JSON.parse(await readFile(file, 'utf8'))) as FilledWorld]
    } catch (error) {
      const setAside = `${file}.unreadable-${new Date().toISOString().replaceAll(':', '')}`
      await rename(file, setAside)
      onUnreadable?.(setAside, error)
      return []
    }
  }
  return (await Promise.all(files.filter((file) => existsSync(file)).map(read))).flat()
}
