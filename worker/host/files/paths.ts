import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '#shared/errors.ts'

/** For the `catch` of a read: undefined when the file is not there. @throws any other error */
export function undefinedIfAbsent(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined
  throw error
}

/** The kernel has real paths only. What is not there yet keeps its name below its real parent. */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(realPath(parent), basename(path))
  }
}

/** Returns the path itself when it is there, else the nearest directory above that is. */
export function existingAbove(path: string): string {
  return existsSync(path) ? path : existingAbove(dirname(path))
}

/** fstab(5) and mountinfo write a blank in a path as \040. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
