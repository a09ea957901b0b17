import { makeDropExpired } from '../operations/drop-expired.ts'
import { addMissingJobs } from './add-missing-jobs.ts'
import { replaceLostJobs, type SweepDeps } from './replace-lost-jobs.ts'

/** Keeps records and queues in agreement. */
export function startSweeper(deps: SweepDeps) {
  const { log, timing } = deps
  const dropExpired = makeDropExpired(deps)
  const timers = [
    every(timing.look, () => addMissingJobs(deps)),
    every(timing.lost, async () => {
      await replaceLostJobs(deps)
      await dropExpired()
    }),
  ]

  function every(intervalMs: number, sweep: () => Promise<void>): () => void {
    let sweeping = false
    const timer = setInterval(async () => {
      if (sweeping) return
      sweeping = true
      await sweep().catch((error) => log.warn({ err: error.message }, 'sweep'))
      sweeping = false
    }, intervalMs)
    return () => clearInterval(timer)
  }

  return { stop: () => timers.forEach((stop) => void stop()) }
}
