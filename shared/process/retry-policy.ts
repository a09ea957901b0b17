/** How a step is repeated after a transient fault. */
export type RetryPolicy = {
  maxAttempts: number
  firstDelayMs: number
  maxDelayMs: number
  /** An operation that waits for longer gives its slot back. */
  keepSlotMs: number
}

export const stepRetry: RetryPolicy = { maxAttempts: 6, firstDelayMs: 500, maxDelayMs: 30_000, keepSlotMs: 3_000 }

/** Exponential, with jitter over the upper half, so that steps that failed together do not all retry together. */
export function retryDelayMs(attempt: number, { firstDelayMs, maxDelayMs }: RetryPolicy): number {
  const full = Math.min(firstDelayMs * 2 ** (attempt - 1), maxDelayMs)
  return Math.round(full * (1 - Math.random() / 2))
}
