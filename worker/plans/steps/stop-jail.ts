import type { TakeDownStep } from './step.ts'

export const stopJail = {
  name: 'stop-jail',
  title: 'Stopping the jail',
  timeoutMs: 60_000,
  weight: 10,
  async run({ host, jail, signal, learn }) {
    await host.removeJail(jail, signal)
    learn({ jid: null })
  },
} as const satisfies TakeDownStep
