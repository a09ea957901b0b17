import { existsSync, readFileSync, statSync } from 'node:fs'
import type { JailLayout } from '../layout.ts'

/** Returns what distinguishes a tree of a world from another one, which may have got its place and its inode. */
export function treeId(tree: string): string | undefined {
  const at = statSync(tree, { bigint: true, throwIfNoEntry: false })
  return at && `${at.dev}:${at.ino}:${at.birthtimeNs}`
}

/** Whether a mounted root is over a tree. One that an older worker has mounted, which noted nothing, is taken to be. */
export function isOverTree({ lower }: Pick<JailLayout, 'lower'>, tree: string): boolean {
  return !existsSync(lower) || readFileSync(lower, 'utf8') === treeId(tree)
}
