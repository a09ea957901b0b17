import type { Step } from './step.ts'

/** After a reboot a jail's root is there but not mounted. It has the client's files: the step has no undo, and never makes one. */
export const mountRoot = {
  name: 'mount-root',
  title: 'Mounting the root',
  timeoutMs: 60_000,
  weight: 5,
  run: ({ host, jail, signal }) => host.mountRoot(jail, signal),
} as const satisfies Step
