export type Timers = ReturnType<typeof makeTimers>

/** Returns timers for what happens later, unless they are cleared before. They keep no process alive. */
export function makeTimers() {
  const timers = new Set<NodeJS.Timeout>()
  return {
    after(ms: number, what: () => void): void {
      const timer = setTimeout(() => {
        timers.delete(timer)
        what()
      }, ms)
      timers.add(timer.unref())
    },
    clear(): void {
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
