import { lstat, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'

// What is written into a filled world. None of it follows a link that the world has.

/** @throws ProvostError `archive_invalid` for a file in its place; a link goes. */
export async function ensureDirectory(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isDirectory()) return
  if (found && !found.isSymbolicLink())
    throw new ProvostError('archive_invalid', `The world has a file where the directory ${path} must be.`)
  await rm(path, { force: true })
  await mkdir(path, { mode: 0o755 })
}

/** @throws ProvostError `archive_invalid` for a world without a directory /etc. Gives its path. */
export async function etcOf(directory: string): Promise<string> {
  const etc = join(directory, 'etc')
  if (await isDirectory(etc)) return etc
  throw new ProvostError('archive_invalid', 'The world has no directory /etc.')
}

/** In place of whatever is there, a link included. */
export async function putFile(path: string, content: string | Buffer): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await writeFile(path, content, { flag: 'wx', mode: 0o644 })
}

/** In place of whatever is there. */
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
