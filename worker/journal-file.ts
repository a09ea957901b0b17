import { open, readFile, rename, truncate, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf } from '#shared/errors.ts'

/** Appends entries, one JSON object a line, and waits until they are on the disk. What a full disk cuts short is taken back. */
export async function appendEntries(path: string, entries: unknown[]): Promise<void> {
  const file = await open(path, 'a', 0o600)
  try {
    const { size } = await file.stat()
    // Not `write`, which says nothing when only a part has found room.
    await file.writeFile(linesOf(entries)).catch(async (error) => {
      await file.truncate(size)
      throw error
    })
    await file.datasync()
  } finally {
    await file.close()
  }
}

/** Writes a file anew: aside, flushed, then renamed over the old one. */
export async function replaceEntries(path: string, entries: unknown[]): Promise<void> {
  const aside = `${path}.new`
  const file = await open(aside, 'w', 0o600)
  try {
    await file.writeFile(linesOf(entries))
    await file.datasync()
  } catch (error) {
    await unlink(aside)
    throw error
  } finally {
    await file.close()
  }
  await rename(aside, path)
  await flushDirectory(dirname(path))
}

/** A new or renamed file is there after a power cut only once its directory was flushed. */
export async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  await directory.sync().finally(() => directory.close())
}

/**
 * The entries of a file, none when it is not there. A last line that a crash cut short did not happen: it is cut off, so
 * that the next entry starts on a line of its own.
 */
export async function recoverEntries(path: string): Promise<unknown[]> {
  const text = await readFile(path, 'utf8').catch((error) => {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  })
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  if (whole.length < text.length) await truncate(path, Buffer.byteLength(whole))
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

function linesOf(entries: unknown[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')
}
