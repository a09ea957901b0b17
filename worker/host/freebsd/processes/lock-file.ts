import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { errnoOf } from '#shared/errors.ts'

// open(2) of FreeBSD; Node names only what every system has. lockf(1) locks an open file since 15.0 only.
const openExclusive = 0x20
const openNonblocking = 0x4

/** The lock is flock(2)'s and belongs to the open file: whatever ends the process gives it back. */
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
