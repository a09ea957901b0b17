import { chmodSync, copyFileSync, linkSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const programs = ['sh', 'sleep', 'kill', 'cat', 'echo', 'dd', 'mkdir', 'mount', 'ps', 'test', '[', 'hostname']
const nothing = '#!/bin/sh\nexit 0\n'

/**
 * Fills an empty directory with a world of the host's static programs, rescue(8): enough for a shell, and for jail(8), which looks up
 * root in its password database. `scripts`: more files, by their paths.
 */
export function fillRescueTree(tree: string, scripts: Record<string, string> = {}): string {
  for (const name of ['bin', 'data', 'dev', 'etc', 'mnt', 'root', 'sbin', 'tmp', 'var/log', 'var/run'])
    mkdirSync(join(tree, name), { recursive: true })
  // All of rescue(8) is one file.
  const made = new Map<number, string>()
  for (const name of programs) {
    const source = join('/rescue', name)
    const stat = statSync(source, { throwIfNoEntry: false })
    if (!stat) continue
    const [target, first] = [join(tree, 'bin', name), made.get(stat.ino)]
    if (first) linkSync(first, target)
    else copyFileSync(source, target)
    made.set(stat.ino, first ?? target)
  }
  for (const name of ['pwd.db', 'spwd.db']) copyFileSync(join('/etc', name), join(tree, 'etc', name))
  for (const [path, text] of Object.entries({ 'etc/rc': nothing, 'etc/rc.shutdown': nothing, ...scripts })) {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    writeFileSync(join(tree, path), text)
    chmodSync(join(tree, path), 0o755)
  }
  return tree
}
