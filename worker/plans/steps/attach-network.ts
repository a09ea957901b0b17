import type { Step } from './step.ts'

export const attachNetwork = {
  name: 'attach-network',
  title: 'Attaching the network',
  timeoutMs: 30_000,
  weight: 5,
  run: ({ host, jail, signal }) => host.ensureNetwork(jail, signal),
  undo: ({ host, jail, signal }) => host.removeNetwork(jail, signal),
} as const satisfies Step
