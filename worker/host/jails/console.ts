import { type FileHandle, open } from 'node:fs/promises'
import type { ConsoleMark, ConsoleText } from '#shared/console.ts'
import { undefinedIfAbsent } from '../files/paths.ts'

/** Returns the present end of a console. */
export async function markConsole(path: string): Promise<ConsoleMark> {
  return (await readConsole(path, { mostBytes: 0 })).mark
}

/**
 * Returns the end of a console, of at most `mostBytes`: all of it, or what came after a mark. A console is a file and, behind
 * it with `.1`, the one before.
 */
export async function readConsole(
  path: string,
  { after, mostBytes }: { after?: ConsoleMark | undefined; mostBytes: number },
): Promise<ConsoleText> {
  // The newer one first: should they be exchanged meanwhile, the older one is read twice and nothing is missed.
  const newer = await openFile(path)
  const older = await openFile(`${path}.1`)
  const files = [older, newer].flatMap((file) => (file ? [file] : []))
  try {
    const distinct = files.filter(({ id }, i) => files.findIndex((other) => other.id === id) === i)
    const from = distinct.findIndex(({ id }) => id === after?.file)
    const parts = from === -1 ? distinct : distinct.slice(from)
    const start = from === -1 ? 0 : Math.min(after?.offset ?? 0, parts[0]?.size ?? 0)
    const available = parts.reduce((sum, { size }) => sum + size, 0) - start
    const pieces: Buffer[] = []
    let left = Math.min(available, mostBytes)
    for (const [i, { handle, size }] of [...parts.entries()].reverse()) {
      const length = Math.min(left, size - (i === 0 ? start : 0))
      pieces.unshift(await readAt(handle, size - length, length))
      left -= length
    }
    const last = parts.at(-1)
    return {
      text: Buffer.concat(pieces).toString('utf8'),
      mark: { file: last?.id ?? 0, offset: last?.size ?? 0 },
      skipped: available > mostBytes || (after !== undefined && after.file !== 0 && from === -1),
    }
  } finally {
    await Promise.all(files.map(({ handle }) => handle.close()))
  }
}

async function openFile(path: string) {
  const handle = await open(path, 'r').catch(undefinedIfAbsent)
  if (!handle) return undefined
  const { ino, size } = await handle.stat()
  return { handle, id: ino, size }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), { position, length })
  return buffer.subarray(0, bytesRead)
}
