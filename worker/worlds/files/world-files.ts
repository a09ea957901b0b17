import { lstat, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'

// Writes into a filled world. Nothing here follows a link that the world has.

/** Makes a directory, in place of a link. @throws ProvostError `archive_invalid` for a file in its place. */
export async function ensureDirectory(path: string): Promise<void> {
  const entry = await lstat(path).catch(() => undefined)
  if (entry?.isDirectory()) return
  if (entry && !entry.isSymbolicLink())
    throw new ProvostError('archive_invalid', `The world has a file where the directory ${path} must be.`)
  await rm(path, { force: true })
  await mkdir(path, { mode: 0o755 })
}

/** Returns the path of a world's /etc. @throws ProvostError `archive_invalid` when that is no directory. */
export async function etcOf(directory: string): Promise<string> {
  const etc = join(directory, 'etc')
  if (await isDirectory(etc)) return etc
  throw new ProvostError('archive_invalid', 'The world has no directory /etc.')
}

/** Writes a file in place of whatever is there, a link included. */
export async function putFile(path: string, content: string | Buffer): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await writeFile(path, content, { flag: 'wx', mode: 0o644 })
}

/** Makes a link in place of whatever is there. */
export async function putLink(path: string, target: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await symlink(target, path)
}

export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false
}
