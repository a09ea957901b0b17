import type { Precedence, WithJail } from '../plans/run.ts'

/**
 * Returns what runs work on a jail, one at a time for each. The host's lock keeps other processes away. What comes for a jail aborts what
 * has it and yields, or waits for it and yields, and then has its turn.
 */
export function makeJailLocks(): WithJail {
  const last = new Map<string, Promise<unknown>>()
  const yielding = new Map<string, Set<AbortController>>()
  return async function withJail<T>(name: string, work: () => Promise<T>, { yields, comes }: Precedence = {}): Promise<T> {
    if (comes) for (const controller of yielding.get(name) ?? []) controller.abort(comes)
    if (yields) yielding.set(name, (yielding.get(name) ?? new Set()).add(yields))
    const turn = (last.get(name) ?? Promise.resolve()).then(work, work)
    last.set(name, turn)
    try {
      return await turn
    } finally {
      if (last.get(name) === turn) last.delete(name)
      if (yields) yielding.get(name)?.delete(yields)
      if (yielding.get(name)?.size === 0) yielding.delete(name)
    }
  }
}
