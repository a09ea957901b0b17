import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { errnoOf } from '#shared/errors.ts'

// Of open(2) on FreeBSD; Node has only the flags that every system has. lockf(1) locks an open file only since 15.0.
const openExclusive = 0x20
const openNonblocking = 0x4

/** Opens a file with the lock of flock(2), which belongs to the open file: the end of the process releases it. */
export async function lockFile(path: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | openExclusive | openNonblocking
  try {
    return await open(path, flags, 0o600)
  } catch (error) {
    // EWOULDBLOCK, which is EAGAIN there.
    if (errnoOf(error) === 'EAGAIN') return undefined
    throw error
  }
}
