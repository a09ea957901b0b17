import { rename } from 'node:fs/promises'
import type { Logger } from 'pino'
import { recoverEntries } from './file.ts'

export type AsideLog = Pick<Logger, 'error'>

const mark = '.unreadable-'

/**
 * Returns what `parse` makes of the entries of a file. One that cannot be read is set aside under another name, for a person to
 * mend: what is in it must not keep the whole host from starting.
 */
export async function readOrSetAside<T>(path: string, parse: (entries: unknown[]) => T, log: AsideLog): Promise<T | undefined> {
  try {
    return parse(await recoverEntries(path))
  } catch (error) {
    const setAside = nameAside(path)
    await rename(path, setAside)
    log.error({ err: error, file: path, setAside }, 'a file of the journal cannot be read: it is set aside')
    return undefined
  }
}

/** Returns the name under which a file is set aside now. */
export function nameAside(path: string): string {
  return `${path}${mark}${new Date().toISOString().replaceAll(':', '')}`
}

/** Returns the name that a file had before it was set aside; undefined when it was not. */
export function asideOf(name: string): string | undefined {
  const at = name.lastIndexOf(mark)
  return at > 0 ? name.slice(0, at) : undefined
}
