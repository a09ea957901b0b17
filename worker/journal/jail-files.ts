import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Entry, type JournaledJail, type JournaledOperation, replay } from './entries.ts'
import { appendEntries, flushDirectory, type JournalFiles, replaceEntries } from './file.ts'
import { type AsideLog, asideOf, readOrSetAside } from './set-aside.ts'

export type JailFiles = Awaited<ReturnType<typeof openJailFiles>>

/**
 * Opens the files of this host's jails, one each, an entry a line; memory has the jails that the entries describe. A file that
 * cannot be read is set aside under another name: the other jails must not wait for it.
 */
export async function openJailFiles(directory: string, files: JournalFiles, log: AsideLog) {
  const jails = new Map<string, JournaledJail>()
  /** By jail, the latest of its files that were set aside. */
  const aside = new Map<string, string>()
  const fileOf = (name: string) => join(directory, `${name}.ndjson`)

  await mkdir(directory, { recursive: true, mode: 0o700 })
  for (const file of await readdir(directory)) {
    const path = join(directory, file)
    // Of a write that a kill cut short.
    if (file.endsWith('.ndjson.new')) await rm(path)
    if (!file.endsWith('.ndjson')) continue
    const jail = await readOrSetAside(path, (entries) => replay(entries.map((entry) => Entry.parse(entry))), log)
    if (jail) jails.set(jail.spec.name, jail)
  }
  for (const file of (await readdir(directory)).sort()) {
    const name = asideOf(file)?.replace(/\.ndjson$/, '')
    if (name !== undefined && !jails.has(name)) aside.set(name, join(directory, file))
  }

  return {
    /** Returns the file about a jail that could not be read; undefined when there is none, or the jail is known by now. */
    setAside: (name: string) => aside.get(name),
    all: () => [...jails.values()],
    get: (name: string) => jails.get(name),
    /** Adds entries to the file of an operation's jail, in one flush. The caller changes memory, before or after. */
    async append({ spec }: JournaledOperation, entries: unknown[]): Promise<void> {
      await appendEntries(fileOf(spec.name), entries, files, false)
    },
    /** Rewrites a jail's file, then changes memory: on a full disk, memory must not have what the file has not. */
    async replace(jail: JournaledJail, entries: unknown[]): Promise<void> {
      await replaceEntries(fileOf(jail.spec.name), entries, files)
      jails.set(jail.spec.name, jail)
    },
    /** Also removes what was set aside of it: nothing of the jail is on the host any more. */
    async remove(name: string): Promise<void> {
      await files.remove(fileOf(name))
      jails.delete(name)
      const old = aside.get(name)
      aside.delete(name)
      if (old !== undefined) await rm(old, { force: true })
    },
    flush: () => flushDirectory(directory),
  }
}
