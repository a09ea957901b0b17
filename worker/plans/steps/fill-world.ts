import { Pause } from './pause.ts'
import type { Step } from './step.ts'

/** Ends at once when the world is ready; otherwise pauses, without its build slot, until the fill has ended. */
export const fillWorld = {
  name: 'fill-world',
  title: 'Filling the world',
  timeoutMs: 60_000,
  weight: 60,
  async run({ worlds, jail, asker }) {
    const fill = worlds.fill({ name: jail.world, digest: jail.worldDigest }, asker)
    if (fill) throw new Pause(`fill of world ${jail.world}`, { until: fill.done, onProgress: fill.onProgress })
  },
} as const satisfies Step
