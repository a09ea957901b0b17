import { randomBytes } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

const spareBytes = 4 * 1024 ** 2

export type SpareRoom = {
  /** Gives the room up. Returns whether there was any. */
  giveUp(): boolean
  /** Takes it again when there is much more than that. */
  take(freeBytes: number): Promise<void>
}

/**
 * Returns what keeps some room on the disk for the notes of what makes room on a full one: stops and destroys. A file that has
 * it, of bytes that no file system can compress, is removed when they need it.
 */
export function makeSpareRoom(journalDirectory: string): SpareRoom {
  const path = join(journalDirectory, 'spare')
  return {
    giveUp() {
      if (!existsSync(path)) return false
      rmSync(path, { force: true })
      return true
    },
    async take(freeBytes) {
      if (freeBytes < 16 * spareBytes || existsSync(path)) return
      const file = await open(`${path}.new`, 'w', 0o600)
      try {
        await file.writeFile(randomBytes(spareBytes))
        await file.datasync()
        await rename(`${path}.new`, path)
      } finally {
        await file.close()
        await rm(`${path}.new`, { force: true })
      }
    },
  }
}
