import type { TakeDownStep } from './step.ts'

export const removeRoot = {
  name: 'remove-root',
  title: 'Removing the root',
  timeoutMs: 10 * 60_000,
  weight: 10,
  run: ({ host, jail, signal }) => host.removeRoot(jail, signal),
} as const satisfies TakeDownStep
