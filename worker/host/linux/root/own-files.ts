import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'

const mostLinks = 40

/** What runc mounts on, and what its init opens in a jail's tree: it looks root up there (runc 1.1, user.GetExecUserPath). */
const directories = ['dev', 'proc']
const files = ['etc/passwd', 'etc/group']

/**
 * Looks, before anything runs in a jail, at what is opened in its tree on its behalf. A FIFO there would keep who opens it waiting for ever,
 * and were `dev` a link, runc 1.1 would make links where it leads on the host.
 * @throws ProvostError `isolation_unproven` for a directory that is none, `world_invalid` for a file that is no regular one.
 */
export function requireOwnFiles(root: string, jail: string): void {
  for (const name of directories) {
    const entry = lstatSync(join(root, name), { throwIfNoEntry: false })
    if (entry && !entry.isDirectory())
      throw new ProvostError('isolation_unproven', `/${name} of ${jail} is no directory, so nothing is mounted there.`, {
        hint: `Make /${name} of the jail's world or content a directory, then retry.`,
      })
  }
  for (const name of files) {
    const entry = lookUp(root, name)
    if (entry && !entry.isFile())
      throw new ProvostError('world_invalid', `/${name} of ${jail} is ${kindOf(entry)}, and would be opened for its start.`, {
        hint: `Make /${name} in the jail's tree a regular file, or remove it, then retry.`,
      })
  }
}

/**
 * Returns what a path of a tree leads to, as a process would see it whose `/` is `root`: links are followed below it. Opens nothing. Undefined
 * when there is nothing, or no end of links. True only while nobody changes the tree.
 */
export function lookUp(root: string, path: string): Stats | undefined {
  let links = 0
  const left = path.split('/').filter(Boolean)
  const at: string[] = []
  let entry: Stats | undefined = lstatSync(root, { throwIfNoEntry: false })
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '.') continue
    if (name === '..') {
      at.pop()
      continue
    }
    const here = join(root, ...at, name)
    entry = lstatSync(here, { throwIfNoEntry: false })
    if (!entry) return undefined
    if (entry.isSymbolicLink()) {
      links += 1
      if (links > mostLinks) return undefined
      const target = readlinkSync(here)
      if (target.startsWith('/')) at.length = 0
      left.unshift(...target.split('/').filter(Boolean))
      continue
    }
    if (left.length > 0 && !entry.isDirectory()) return undefined
    at.push(name)
  }
  return entry
}

function kindOf(entry: Stats): string {
  if (entry.isFIFO()) return 'a FIFO'
  if (entry.isSocket()) return 'a socket'
  if (entry.isDirectory()) return 'a directory'
  return 'a device'
}
