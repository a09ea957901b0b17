import type { Step } from './step.ts'

export const cloneRoot = {
  name: 'clone-root',
  title: 'Cloning the world',
  timeoutMs: 60_000,
  weight: 5,
  run: ({ host, jail, signal }) => host.ensureRoot(jail, signal),
  undo: ({ host, jail, signal }) => host.removeRoot(jail, signal),
} as const satisfies Step
