import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { FilledWorld } from '../../host/files/world-ids.ts'
import { poisonousKills } from '../../journal/entries.ts'
import { type Entry, prefillOf } from './entry.ts'
import type { FillKills } from './kills.ts'
import { type FillDeps, startFill } from './start-fill.ts'

export type FillEntryDeps = Omit<FillDeps, 'after'> & {
  kills: FillKills
  changed(): void
  onReady(filled: FilledWorld): void
  /** The fill has failed for the operations that wait for it. */
  onFailure(operations: string[], error: ProvostError): void
}

/** Starts the fill of a world, once an earlier one of it has removed its stage. */
export function fillEntry(entry: Entry, deps: FillEntryDeps): NonNullable<Entry['fill']> {
  const { kills, log, changed, signal } = deps
  delete entry.failure
  const { lastEnd } = entry
  const after = (async () => {
    await lastEnd?.catch(() => undefined)
    await kills.noted()
  })()
  const running = startFill(entry.world, entry.id, { ...deps, after })
  const endFill = () => entry.fill === fill && delete entry.fill
  const endWaits = () => {
    endFill()
    for (const operation of [...running.operations(), prefillOf(entry)]) kills.end(operation)
  }
  // Settles for those who wait only once the end is noted here.
  const done = running.done.then(
    (filled) => {
      endWaits()
      deps.onReady(filled)
      log.info({ world: entry.world.name, fillMs: filled.fillMs }, 'world is ready')
    },
    (thrown) => {
      endWaits()
      // No failure of the world: those who wait ask again after the next start, or nobody waits.
      if (signal.aborted || running.isLeft()) throw thrown
      const error = toProvostError(thrown)
      entry.failure = error
      deps.onFailure(running.operations(), error)
      log.warn({ world: entry.world.name, code: error.code, reason: error.message }, 'world could not be filled')
      throw error
    },
  )
  done.catch(() => undefined).then(changed)
  const leave = (operation: string) => {
    running.leave(operation)
    kills.end(operation)
    // Whoever asks from now on gets a new fill, which waits until this one has removed its stage.
    if (running.isLeft() && endFill()) changed()
  }
  const fill = { ...running, done, leave }
  entry.fill = fill
  entry.lastEnd = done
  return fill
}

/** @throws ProvostError `poisoned`, once: who asks again starts from the beginning. */
export function refusePoisoned({ world }: Entry, asker: string, kills: FillKills): void {
  if (kills.of(asker) < poisonousKills) return
  kills.end(asker)
  throw new ProvostError('poisoned', `The worker was ended three times while it filled world ${world.name}.`)
}
