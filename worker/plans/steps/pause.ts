/** When a paused operation goes on: after some time, or once something has happened, well or badly. */
type Until = { delayMs: number } | { until: Promise<void>; onProgress(listener: (fraction: number) => void): () => void }

/** Thrown by a step that must wait longer than a slot should be held. The step runs again afterwards. */
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
