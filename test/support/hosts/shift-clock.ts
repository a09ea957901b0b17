import { onTestFinished } from 'vitest'

/** Puts the clock of this process, which goes on, ahead by some milliseconds until the test is over. */
export function shiftClock(ms: number): void {
  const Real = globalThis.Date
  globalThis.Date = class extends Real {
    constructor(...args: [] | [number | string | Date]) {
      if (args.length === 0) super(Real.now() + ms)
      else super(...args)
    }
    static override now(): number {
      return Real.now() + ms
    }
  } as DateConstructor
  onTestFinished(() => {
    globalThis.Date = Real
  })
}
