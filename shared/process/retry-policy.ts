/** How a step is repeated after a transient fault. */
export type RetryPolicy = {
  maxAttempts: number
  firstDelayMs: number
  maxDelayMs: number
  /** A longer wait gives the slot back. */
  holdSlotMs: number
}

export const stepRetry: RetryPolicy = { maxAttempts: 6, firstDelayMs: 500, maxDelayMs: 30_000, holdSlotMs: 3_000 }

/** Exponential, with jitter over its upper half, so that many who failed together do not come back together. */
export function retryDelayMs(attempt: number, { firstDelayMs, maxDelayMs }: RetryPolicy, random = Math.random): number {
  const full = Math.min(firstDelayMs * 2 ** (attempt - 1), maxDelayMs)
  return Math.round(full * (1 - random() / 2))
}
