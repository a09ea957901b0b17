import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Entry, type JournaledJail, type JournaledOperation, replay } from './entries.ts'
import { appendEntries, flushDirectory, type JournalFiles, recoverEntries, replaceEntries } from './file.ts'

export type JailFiles = Awaited<ReturnType<typeof openJailFiles>>

/** Opens the files of this host's jails, one each, an entry a line; memory has the jails that the entries describe. */
export async function openJailFiles(directory: string, files: JournalFiles) {
  const jails = new Map<string, JournaledJail>()
  const fileOf = (name: string) => join(directory, `${name}.ndjson`)

  await mkdir(directory, { recursive: true, mode: 0o700 })
  for (const file of await readdir(directory)) {
    if (!file.endsWith('.ndjson')) continue
    const jail = replay((await recoverEntries(join(directory, file))).map((entry) => Entry.parse(entry)))
    if (jail) jails.set(jail.spec.name, jail)
  }

  return {
    all: () => [...jails.values()],
    get: (name: string) => jails.get(name),
    /** Adds entries to the file of an operation's jail, in one flush. The caller changes memory, before or after. */
    async append({ spec }: JournaledOperation, entries: unknown[]): Promise<void> {
      await appendEntries(fileOf(spec.name), entries, files)
    },
    /** Rewrites a jail's file, then changes memory: on a full disk, memory must not have what the file has not. */
    async replace(jail: JournaledJail, entries: unknown[]): Promise<void> {
      await replaceEntries(fileOf(jail.spec.name), entries, files)
      jails.set(jail.spec.name, jail)
    },
    async remove(name: string): Promise<void> {
      await files.remove(fileOf(name))
      jails.delete(name)
    },
    flush: () => flushDirectory(directory),
  }
}
