import type { Logger } from 'pino'
import { toProvostError } from '#shared/errors.ts'
import type { Leftover } from '#shared/host.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import { fleetTime, fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { JournaledJail } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { RunDeps } from '../plans/run.ts'
import type { LeftoverNotes } from '../reports/host-notes.ts'
import { removeJail } from './remove-jail.ts'

type Deps = Pick<RunDeps, 'host' | 'journal' | 'withJail'> & {
  notes: LeftoverNotes
  log: Logger
  /** How long before the first try, and before any at most; it doubles each time. */
  delays: { firstMs: number; mostMs: number }
  repeat: Repeat
}

type Settled = JournaledJail & { settled: NonNullable<JournaledJail['settled']> }

const everyMs = 1_000

/**
 * Tries again and again to remove what an operation had to leave on this host, and notes for the fleet what that is. The
 * journal has what there is; the notes, how often it was tried.
 */
export function retryLeftovers({ host, journal, notes, log, withJail, delays, repeat }: Deps) {
  const atWork = new Set<string>()
  let isAllDue = false

  async function look(): Promise<void> {
    const isDue = isAllDue ? () => true : ({ nextTryAt }: Leftover) => Date.parse(nextTryAt) <= fleetTimeMs()
    isAllDue = false
    for (const name of [...notes.entries().keys()]) if (!isLeft(name)) await notes.forget(name)
    for (const { spec } of journal.jails()) {
      const jail = leftBy(journal, spec.name)
      if (!jail) continue
      const leftover = notes.entries().get(spec.name) ?? newLeftover(jail, delays.firstMs)
      if (!isDue(leftover)) await noteOnce(leftover)
      // Not waited for: an operation may have the jail's lock for long.
      else void tryAgain(leftover).catch((error) => log.warn({ err: error, jail: spec.name }, 'leftovers are tried again later'))
    }
  }

  const isLeft = (name: string) => (journal.jail(name)?.settled?.leftovers.length ?? 0) > 0

  const noteOnce = async (leftover: Leftover) => notes.entries().has(leftover.jail) || notes.note(leftover)

  async function tryAgain(leftover: Leftover): Promise<void> {
    const { jail: name } = leftover
    if (atWork.has(name)) return
    atWork.add(name)
    try {
      await withJail(name, () => removeNow(leftover))
    } finally {
      atWork.delete(name)
    }
  }

  async function removeNow(before: Leftover): Promise<void> {
    const jail = leftBy(journal, before.jail)
    if (!jail) return
    const attempts = before.attempts + 1
    const delayMs = Math.min(delays.firstMs * 2 ** attempts, delays.mostMs)
    const leftover: Leftover = {
      ...before,
      steps: jail.settled.leftovers,
      attempts,
      nextTryAt: new Date(fleetTimeMs() + delayMs).toISOString(),
    }
    // Noted first: should this try kill the worker, the next start must not make it again at once.
    await notes.note(leftover)
    try {
      const isUnwanted = jail.settled.wanted === 'gone'
      await removeJail(jail.spec, host, isUnwanted ? 'with-root' : 'but-root')
      if (isUnwanted) await journal.forget(before.jail)
      else await journal.forgetLeftovers(before.jail)
      await notes.forget(before.jail)
      log.info({ jail: before.jail, attempts }, 'removed what was left of a jail')
    } catch (thrown) {
      const { code, message } = toProvostError(thrown)
      await notes.note({ ...leftover, lastError: message })
      log.warn({ jail: before.jail, attempts, code, reason: message, delayMs }, 'what is left of a jail cannot be removed')
    }
  }

  const looking = repeat('retry-leftovers', everyMs, look)
  return {
    name: looking.name,
    halt: looking.halt,
    stop: looking.stop,
    /** For when an operation has ended, perhaps with leftovers. */
    lookNow: looking.now,
    /** Tries all at once, also those that are not due. */
    tryAll(): Promise<void> {
      isAllDue = true
      return looking.now()
    },
  }
}

/** Returns a jail with leftovers that no operation removes. */
function leftBy(journal: Journal, name: string): Settled | undefined {
  const jail = journal.jail(name)
  return jail?.settled && !jail.current && jail.settled.leftovers.length > 0 ? (jail as Settled) : undefined
}

function newLeftover({ spec, settled }: Settled, firstMs: number): Leftover {
  const { since = fleetTime().toISOString(), error = '' } = settled.left ?? {}
  const nextTryAt = new Date(Date.parse(since) + firstMs).toISOString()
  return { jail: spec.name, steps: settled.leftovers, since, attempts: 0, lastError: error, nextTryAt }
}
