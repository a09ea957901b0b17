import type { BackgroundWork } from '#shared/host.ts'
import type { Pass } from '#shared/process/repeat.ts'

/** Returns what counts the passes of this worker's background work since its start, by the work's name. */
export function countPasses() {
  const totals: BackgroundWork = {}
  return {
    totals,
    count({ name, seconds, error }: Pass): void {
      const before = totals[name] ?? { passes: 0, failures: 0, seconds: 0 }
      const failures = before.failures + (error === undefined ? 0 : 1)
      totals[name] = { passes: before.passes + 1, failures, seconds: before.seconds + seconds }
    },
  }
}
