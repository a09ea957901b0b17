import type { TakeDownStep } from './step.ts'

export const detachNetwork = {
  name: 'detach-network',
  title: 'Detaching the network',
  timeoutMs: 30_000,
  weight: 5,
  run: ({ host, jail, signal }) => host.removeNetwork(jail, signal),
} as const satisfies TakeDownStep
