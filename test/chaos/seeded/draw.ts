export type Draw = ReturnType<typeof makeDraw>

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function makeDraw(seed: number) {
  let state = seed >>> 0
  /** From 0 up to, but not, 1. */
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  return {
    between,
    chance: (probability: number) => next() < probability,
    pick: <T>(from: readonly T[]): T => from[between(0, from.length - 1)] as T,
    /** One of the names, each as often as its weight says. */
    weighted<N extends string>(weights: Record<N, number>): N {
      const entries = Object.entries(weights) as [N, number][]
      let left = next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
      for (const [name, weight] of entries) {
        left -= weight
        if (left < 0) return name
      }
      return (entries.at(-1) as [N, number])[0]
    },
  }
}
