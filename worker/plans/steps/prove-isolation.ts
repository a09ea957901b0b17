import { ProvostError } from '#shared/errors.ts'
import type { Step } from './step.ts'

export const proveIsolation = {
  name: 'prove-isolation',
  title: 'Proving the isolation',
  timeoutMs: 30_000,
  weight: 10,
  async run({ host, jail, signal, learn }) {
    const isolation = await host.proveIsolation(jail, signal)
    learn({ isolation })
    const failed = isolation.checks.filter(({ ok }) => !ok)
    if (failed.length === 0) return
    const seen = failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ')
    throw new ProvostError('isolation_unproven', `The jail is not isolated (${seen}).`)
  },
} as const satisfies Step
