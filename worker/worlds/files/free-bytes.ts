import { statfs } from 'node:fs/promises'

/** Returns how many bytes can still be written where `path` is. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}
