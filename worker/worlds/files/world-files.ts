import { lstat, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'

const namedAtMost = 8

// Writes into a filled world. Nothing here follows a link that the world has.

/** Makes a directory, in place of a link. @throws ProvostError `world_invalid` for a file in its place. */
export async function ensureDirectory(path: string): Promise<void> {
  const entry = await lstat(path).catch(() => undefined)
  if (entry?.isDirectory()) return
  if (entry && !entry.isSymbolicLink())
    throw new ProvostError('world_invalid', `The world has a file where the directory ${path} must be.`)
  await rm(path, { force: true })
  await mkdir(path, { mode: 0o755 })
}

/** Returns the path of a world's /etc; `place`: what the directory is called. @throws ProvostError `world_invalid`. */
export async function etcOf(directory: string, world: string, place = 'its tree'): Promise<string> {
  const etc = join(directory, 'etc')
  if (await isDirectory(etc)) return etc
  const names = (await readdir(directory)).sort()
  const top =
    names.length === 0 ? 'nothing' : [...names.slice(0, namedAtMost), ...(names.length > namedAtMost ? ['…'] : [])].join(', ')
  throw new ProvostError('world_invalid', `World ${world} has no directory /etc; at the top of ${place} there is ${top}.`)
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
