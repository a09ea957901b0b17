import { constants } from 'node:fs'
import { type FileHandle, open, rename, truncate, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf, ProvostError } from '#shared/errors.ts'
import { undefinedIfAbsent } from '../host/files/paths.ts'

const newline = 10
const chunkBytes = 1024 * 1024
const lineBytes = 8 * 1024

/** What a journal does to the disk. Passed in, so that a test may kill the worker before, within and after each. */
export type JournalFiles = {
  write(file: FileHandle, text: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
}

export const journalFiles: JournalFiles = {
  // Not `write`, which does not fail when the disk had room for a part only.
  write: (file, text) => file.writeFile(text),
  rename,
  remove: unlink,
}

const { O_APPEND, O_CREAT, O_WRONLY } = constants

/**
 * Appends entries, one JSON object a line, and waits until they are on the disk. What a full disk cuts short is cut off again.
 * `create`: where there is no such file, begins one. Returns the place in the file where they begin, in bytes.
 * @throws ProvostError `journal_lost`.
 */
export async function appendEntries(path: string, entries: unknown[], files = journalFiles, create = true): Promise<number> {
  const file = await open(path, O_APPEND | O_WRONLY | (create ? O_CREAT : 0), 0o600).catch(lostIfAbsent(path))
  try {
    const { size } = await file.stat()
    await files.write(file, linesOf(entries)).catch(async (error) => {
      await file.truncate(size)
      throw error
    })
    await file.datasync()
    return size
  } finally {
    await file.close()
  }
}

/** Rewrites a file: aside, flushed, then renamed over the old one. @throws ProvostError `journal_lost`. */
export async function replaceEntries(path: string, entries: unknown[], files = journalFiles): Promise<void> {
  await replaceFile(path, (file) => files.write(file, linesOf(entries)), files)
}

/** Rewrites a file with those of its lines that are kept. */
export async function copyEntries(path: string, isKept: (line: string) => boolean, files = journalFiles): Promise<void> {
  const copy = async (file: FileHandle) => {
    let text = ''
    for await (const { line } of readLines(path)) {
      if (isKept(line)) text += `${line}\n`
      if (text.length < chunkBytes) continue
      await files.write(file, text)
      text = ''
    }
    await files.write(file, text)
  }
  await replaceFile(path, copy, files)
}

async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>, files: JournalFiles): Promise<void> {
  const aside = `${path}.new`
  const file = await open(aside, 'w', 0o600).catch(lostIfAbsent(path))
  try {
    await write(file)
    await file.datasync()
  } catch (error) {
    await unlink(aside)
    throw error
  } finally {
    await file.close()
  }
  await files.rename(aside, path)
  await flushDirectory(dirname(path))
}

/** Somebody has taken away what was there when the worker started. */
function lostIfAbsent(path: string) {
  return (error: unknown): never => {
    if (errnoOf(error) !== 'ENOENT') throw error
    throw new ProvostError('journal_lost', `The journal of this host is gone: there is no ${path}.`, { cause: error })
  }
}

/** A new or renamed file survives a power cut only once its directory was flushed. */
export async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  await directory.sync().finally(() => directory.close())
}

/**
 * Returns the entries of a file, none when it is not there. A last line that a crash cut short does not count: it is cut off,
 * so that the next entry starts on a line of its own.
 */
export async function recoverEntries(path: string): Promise<unknown[]> {
  const entries: unknown[] = []
  for await (const { line } of readLines(path)) entries.push(JSON.parse(line))
  return entries
}

/** The same line by line from a place on, each with its place in bytes: the file may be larger than memory. */
export async function* readLines(path: string, from = 0): AsyncGenerator<{ line: string; place: number }> {
  const file = await open(path, 'r').catch(undefinedIfAbsent)
  if (!file) return
  try {
    let rest: Buffer = Buffer.alloc(0)
    let place = from
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, place + rest.length)
      if (bytesRead === 0) break
      rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)])
      for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
        if (end > 0) yield { line: rest.toString('utf8', 0, end), place }
        rest = rest.subarray(end + 1)
        place += end + 1
      }
    }
    if (rest.length > 0) await truncate(path, place)
  } finally {
    await file.close()
  }
}

/** Returns the line that begins at a place. */
export async function lineAt(path: string, place: number): Promise<string> {
  const file = await open(path, 'r')
  try {
    let line: Buffer = Buffer.alloc(0)
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(lineBytes), 0, lineBytes, place + line.length)
      line = Buffer.concat([line, buffer.subarray(0, bytesRead)])
      const end = line.indexOf(newline)
      if (end >= 0 || bytesRead === 0) return line.toString('utf8', 0, end >= 0 ? end : line.length)
    }
  } finally {
    await file.close()
  }
}

function linesOf(entries: unknown[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')
}
