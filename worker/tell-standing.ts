import type { JailReport } from '#shared/report.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { Journal } from './journal.ts'

type Deps = {
  hostId: string
  host: HostRuntime
  journal: Journal
  withJail<T>(name: string, work: () => Promise<T>): Promise<T>
  send(report: JailReport): Promise<void>
}

/**
 * Tells how a jail stands that an operation has left as it was. What was told before, of a jail that was started again after
 * a reboot, is of no account once a newer operation is asked for: that one would tell it, had it done anything.
 */
export function tellStanding(name: string, { hostId, host, journal, withJail, send }: Deps): Promise<void> {
  return withJail(name, async () => {
    const { spec, settled, current } = journal.jail(name) ?? {}
    if (!spec || settled?.wanted !== 'running' || current) return
    const found = await host.findJail(spec)
    const how = found ? ({ jailState: 'running', jid: found.jid } as const) : ({ jailState: 'stopped', jid: null } as const)
    await send({ type: 'jail', host: hostId, jail: name, epoch: settled.epoch, at: new Date().toISOString(), ...how })
  })
}
