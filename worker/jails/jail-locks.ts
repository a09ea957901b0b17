/** Returns what runs work on a jail, one at a time for each. The host's lock keeps other processes away. */
export function makeJailLocks() {
  const last = new Map<string, Promise<unknown>>()
  return async function withJail<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (last.get(name) ?? Promise.resolve()).then(work, work)
    last.set(name, turn)
    try {
      return await turn
    } finally {
      if (last.get(name) === turn) last.delete(name)
    }
  }
}
