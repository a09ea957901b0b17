import pLimit from 'p-limit'
import { ProvostError } from '#shared/errors.ts'
import { bareAddress } from '#shared/network/addresses.ts'
import type { Step, StepContext } from './step.ts'

/** Of jails that share an address only one looks at a time whether another has it. */
const looking = pLimit(1)

export const attachNetwork = {
  name: 'attach-network',
  title: 'Attaching the network',
  timeoutMs: 30_000,
  weight: 5,
  async run(context) {
    const { host, jail, signal, neighbours } = context
    if (neighbours.length === 0) return host.ensureNetwork(jail, signal)
    await looking(async () => {
      await refuseAddressInUse(context)
      await host.ensureNetwork(jail, signal)
    })
  },
  undo: ({ host, jail, signal }) => host.removeNetwork(jail, signal),
} as const satisfies Step

/**
 * Leases keep two jails from one address. Where they were lost, or are older than the host, this does.
 * @throws ProvostError `address_in_use`.
 */
async function refuseAddressInUse({ host, jail, signal, neighbours }: StepContext): Promise<void> {
  for (const other of neighbours) {
    if (!(await host.hasNetwork(other, signal))) continue
    const shared = other.addresses.map(bareAddress).find((address) => jail.addresses.map(bareAddress).includes(address))
    throw new ProvostError('address_in_use', `Jail ${other.name} of this host has the address ${shared}.`)
  }
}
