import { createHash } from 'node:crypto'
import { lstat, open, readFile, readlink, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '#shared/errors.ts'
import { undefinedIfAbsent } from '../files/paths.ts'
import { replaceFile } from '../files/replace-file.ts'
import type { Names } from './names.ts'

type Place = {
  /** The jail's root. No process of the jail runs: nothing in it changes meanwhile. */
  root: string
  /** The tree of its world. */
  world: string
  /** The host's file beside the jail that tells what was written into it. */
  record: string
  /** Who owns what is written, as the host sees it: root in the jail, where that is another than root of the host. */
  owner?: number | undefined
}

/** What a path has, in a form to compare; `other`: nothing that is read or written here. */
type Found = 'absent' | 'other' | `link ${string}` | `file ${string}`

const largestBytes = 64 * 1024
/** A full or locked file system of the client's keeps no jail from starting, nor does a directory that stands in the way. */
const harmless = ['ENOSPC', 'EDQUOT', 'EROFS', 'EPERM', 'EACCES', 'EISDIR']

/**
 * Writes a jail's files of names below /etc, before it starts. A file is the client's, and left as it is, once it differs both from
 * what was written last and from what the world has; so is one that was removed. No link in the jail's root is followed: it may
 * have been planted there.
 */
export async function writeNames({ root, world, record, owner }: Place, names: Names): Promise<void> {
  const [etc, etcOfWorld] = [join(root, 'etc'), join(world, 'etc')]
  if (!(await isDirectory(etc))) return
  // What a link leads to may be the host's: a client who puts a directory there is told nothing of it.
  const worldHasEtc = await isDirectory(etcOfWorld)
  const before = await readRecord(record)
  const after = { ...before }
  const wanted = new Map<string, string>()
  for (const [file, textFor] of Object.entries(names)) {
    const ofWorld = join(etcOfWorld, file)
    const text = textFor(worldHasEtc ? await textOf(ofWorld) : undefined)
    if (text === undefined) continue
    const [found, id] = [await look(join(etc, file)), idOf(text)]
    const ours = before[file] ?? [worldHasEtc ? await look(ofWorld) : 'absent']
    if (found === id) after[file] = [id]
    else if (found !== 'other' && ours.includes(found)) {
      // Both, as long as it is not written: this may be cut short.
      after[file] = [found, id]
      wanted.set(file, text)
    }
  }
  await replaceFile(record, JSON.stringify(after), 0o600)
  for (const [file, text] of wanted) if (await put(join(etc, file), text, owner)) after[file] = [idOf(text)]
  await replaceFile(record, JSON.stringify(after), 0o600)
}

/**
 * Writes aside and renames, which replaces a link and never follows one. Returns whether there was room for it. The name aside is
 * always the same: in a directory that can only be appended to (`uappnd` of chflags(1)), where it stays, no start leaves another.
 */
async function put(path: string, text: string, owner: number | undefined): Promise<boolean> {
  const aside = `${path}.provost-new`
  try {
    await unlink(aside).catch(undefinedIfAbsent)
    const file = await open(aside, 'wx', 0o644)
    try {
      await file.writeFile(text)
      // Readable by all, whatever the umask of the worker is.
      await file.chmod(0o644)
      if (owner !== undefined) await file.chown(owner, owner)
    } finally {
      await file.close()
    }
    await rename(aside, path)
    return true
  } catch (error) {
    unlessHarmless(error)
    // Not `rm` of Node, which looks into what it may not remove as if it were a directory.
    await unlink(aside).catch(undefinedIfAbsent).catch(unlessHarmless)
    return false
  }
}

function unlessHarmless(error: unknown): void {
  if (!harmless.includes(errnoOf(error) ?? '')) throw error
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(undefinedIfAbsent))?.isDirectory() === true
}

async function look(path: string): Promise<Found> {
  const entry = await lstat(path).catch(undefinedIfAbsent)
  if (!entry) return 'absent'
  if (entry.isSymbolicLink()) return `link ${await readlink(path)}`
  const text = await textOf(path)
  return text === undefined ? 'other' : idOf(text)
}

/** Returns the text of a file; undefined for anything else, and for one that is larger than such a file is. */
async function textOf(path: string): Promise<string | undefined> {
  const entry = await lstat(path).catch(undefinedIfAbsent)
  return entry?.isFile() && entry.size <= largestBytes ? readFile(path, 'utf8') : undefined
}

function idOf(text: string): Found {
  return `file ${createHash('sha256').update(text).digest('hex')}`
}

/** One that cannot be read is none: then only what is as in the world is ours. */
async function readRecord(path: string): Promise<Record<string, Found[]>> {
  try {
    return JSON.parse((await readFile(path, 'utf8').catch(undefinedIfAbsent)) ?? '{}')
  } catch {
    return {}
  }
}
