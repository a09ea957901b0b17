import { capped } from '#shared/capped.ts'
import type { Isolation } from '#shared/jail.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'

/** What a proof saw: the faults, and the detail when there is none. */
export type Finding = { faults: string[]; fine: string }

const most = 5

/** Returns a list's first words, and how many more there are: a jail may make as many faults as it likes, and all who list jails get them. */
export function some(words: string[], separator = ', '): string {
  const shown = words.slice(0, most).join(separator)
  return capped(words.length > most ? `${shown} and ${words.length - most} more` : shown)
}

type Proofs<Subject> = Record<string, (subject: Subject) => Finding | Promise<Finding>>

/** Runs every proof of isolation on a jail; all fail when there is no subject, since the jail does not run. */
export async function runProofs<S>(proofs: Proofs<S>, subject: S | undefined, signal: AbortSignal): Promise<Isolation> {
  const results = Object.entries(proofs).map(async ([name, prove]) => {
    if (subject === undefined) return { name, ok: false, detail: 'the jail is not running' }
    try {
      const { faults, fine } = await prove(subject)
      return { name, ok: faults.length === 0, detail: faults.length === 0 ? fine : some(faults, '; ') }
    } catch (error) {
      signal.throwIfAborted()
      return { name, ok: false, detail: capped(`could not be looked at: ${error instanceof Error ? error.message : error}`) }
    }
  })
  return { checkedAt: fleetTime().toISOString(), checks: await Promise.all(results) }
}
