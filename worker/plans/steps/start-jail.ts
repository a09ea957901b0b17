import type { Step } from './step.ts'

export const startJail = {
  name: 'start-jail',
  title: 'Starting the jail',
  // Includes `/etc/rc` where that is part of the jail's start.
  timeoutMs: 10 * 60_000,
  weight: 10,
  async run({ host, jail, signal, learn }) {
    learn({ jid: await host.ensureJail(jail, signal) })
  },
  async undo({ host, jail, signal, learn }) {
    await host.removeJail(jail, signal)
    learn({ jid: null })
  },
} as const satisfies Step
