import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { toProvostError } from '#shared/errors.ts'

export type FillKills = Awaited<ReturnType<typeof openFillKills>>

/** A note on an asker; `waits`: it waits for a fill now, or did when the worker was killed. */
type Note = { asker: string; kills: number; waits: boolean }

/**
 * Opens the counts of how often the worker was killed while an asker waited for a fill: a file for each asker. Nothing waits for
 * a note, or fails when it cannot be written.
 */
export async function openFillKills(directory: string, log: Pick<Logger, 'warn'>) {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const kills = new Map<string, number>()
  const inTurn = pLimit(1)
  const fileOf = (asker: string) => join(directory, encodeURIComponent(asker))
  const write = (note: Note) => writeFile(fileOf(note.asker), JSON.stringify(note))

  function change(work: () => Promise<void>): void {
    void inTurn(work).catch((error) => log.warn({ err: toProvostError(error) }, 'who waits for a fill could not be noted'))
  }

  for (const name of await readdir(directory)) {
    const note = parse(await readFile(join(directory, name), 'utf8'))
    // An asker that did not come back in the whole life of a worker will not.
    if (!note?.waits) await rm(join(directory, name))
    else {
      kills.set(note.asker, note.kills + 1)
      change(() => write({ asker: note.asker, kills: note.kills + 1, waits: false }))
    }
  }

  return {
    of: (asker: string): number => kills.get(asker) ?? 0,
    /** `asker` waits for a fill from now on. */
    begin(asker: string): void {
      change(() => write({ asker, kills: kills.get(asker) ?? 0, waits: true }))
    },
    /** `asker` does not wait any more, or must not. */
    end(asker: string): void {
      kills.delete(asker)
      change(() => rm(fileOf(asker), { force: true }))
    },
    /** Settles once all is noted. */
    noted: (): Promise<void> => inTurn(async () => undefined),
  }
}

/** Returns undefined for a note that a crash cut short. */
function parse(text: string): Note | undefined {
  try {
    return JSON.parse(text) as Note
  } catch {
    return undefined
  }
}
