import type { Finding } from '../../jails/proofs.ts'
import { differencesOf } from '../network/filter.ts'
import type { Subject } from './subject.ts'

const named = 3

/** What its link passes, by the rules that the kernel has: each of them, and no other. */
export async function proveNetwork({ host, jail, signal }: Subject): Promise<Finding> {
  const differences = await differencesOf(host, jail, signal)
  const rest = differences.length > named ? ` and ${differences.length - named} more` : ''
  const faults =
    differences.length === 0
      ? []
      : [`the rules of its link are not those made for it: ${differences.slice(0, named).join('; ')}${rest}`]
  const services = (host.config.network.allowHost ?? []).map(({ protocol, port }) => `${protocol} ${port}`)
  return {
    faults,
    fine: `its link passes only its own addresses, to jails of ${jail.client} and out, and to the host ${services.join(', ') || 'nothing'}`,
  }
}
