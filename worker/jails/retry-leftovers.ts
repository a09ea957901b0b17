import type { Logger } from 'pino'
import { toProvostError } from '#shared/errors.ts'
import type { Leftover } from '#shared/host.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { JournaledJail } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { LeftoverNotes } from '../reports/host-notes.ts'
import { removeJail } from './take-down.ts'

type Deps = {
  host: HostRuntime
  journal: Journal
  notes: LeftoverNotes
  log: Logger
  withJail<T>(name: string, work: () => Promise<T>): Promise<T>
  /** After how long it is tried first, and at most; each time it is twice as long. */
  delays: { firstMs: number; mostMs: number }
  repeat: Repeat
}

type Settled = JournaledJail & { settled: NonNullable<JournaledJail['settled']> }

const everyMs = 1_000

/**
 * Tries again and again to remove what an operation had to leave on this host, and notes for the fleet what that is. The
 * journal knows what there is; the notes, how often it was tried.
 */
export function retryLeftovers({ host, journal, notes, log, withJail, delays, repeat }: Deps) {
  const atWork = new Set<string>()
  let isAllDue = false

  async function look(): Promise<void> {
    const isDue = isAllDue ? () => true : ({ nextTryAt }: Leftover) => Date.parse(nextTryAt) <= Date.now()
    isAllDue = false
    for (const name of [...notes.entries().keys()]) if (!isLeft(name)) await notes.forget(name)
    for (const { spec } of journal.jails()) {
      const jail = leftBy(journal, spec.name)
      if (!jail) continue
      const leftover = notes.entries().get(spec.name) ?? newLeftover(jail, delays.firstMs)
      if (!isDue(leftover)) await noteOnce(leftover)
      // Nobody waits for it: an operation may hold the jail's lock for long.
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
      nextTryAt: new Date(Date.now() + delayMs).toISOString(),
    }
    // First: should this end the worker, it is not tried again at its next start.
    await notes.note(leftover)
    try {
      const isToGo = jail.settled.wanted === 'gone'
      await removeJail(jail.spec, host, isToGo ? 'with-root' : 'but-root')
      if (isToGo) await journal.forget(before.jail)
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
    stop: looking.stop,
    /** An operation has ended, perhaps with leftovers. */
    lookNow: looking.now,
    /** Tries all, whenever their turn is. */
    tryAll(): Promise<void> {
      isAllDue = true
      return looking.now()
    },
  }
}

/** A jail whose leftovers are nobody else's to see to. */
function leftBy(journal: Journal, name: string): Settled | undefined {
  const jail = journal.jail(name)
  return jail?.settled && !jail.current && jail.settled.leftovers.length > 0 ? (jail as Settled) : undefined
}

function newLeftover({ spec, settled }: Settled, firstMs: number): Leftover {
  const { since = new Date().toISOString(), error = '' } = settled.left ?? {}
  const nextTryAt = new Date(Date.parse(since) + firstMs).toISOString()
  return { jail: spec.name, steps: settled.leftovers, since, attempts: 0, lastError: error, nextTryAt }
}
