/** When a paused operation goes on: after some time, or once a promise has settled either way. */
type Until = { delayMs: number } | { until: Promise<void>; onProgress(listener: (fraction: number) => void): () => void }

/** Thrown by a step that must wait longer than it may have a slot. The step runs again afterwards. */
export class Pause extends Error {
  override readonly name = 'Pause'
  readonly reason: string
  readonly until: Until

  constructor(reason: string, until: Until) {
    super(reason)
    this.reason = reason
    this.until = until
  }
}
