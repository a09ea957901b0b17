import type { JailReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { Journal } from '../journal/journal.ts'

type Deps = {
  hostId: string
  host: HostRuntime
  journal: Journal
  withJail<T>(name: string, work: () => Promise<T>): Promise<T>
  send(report: JailReport): Promise<void>
}

/**
 * Reports how a jail is between operations, where none reports it: when an operation has left it as it was (what was reported
 * before counts no more once a newer operation is asked for), or the fleet has just come to know the jail.
 */
export function reportJail(name: string, { hostId, host, journal, withJail, send }: Deps): Promise<void> {
  return withJail(name, async () => {
    const { spec, settled, current } = journal.jail(name) ?? {}
    // What somebody did to it by hand is told by who watches for that.
    if (!spec || !settled || settled.wanted === 'gone' || settled.drift || current) return
    const found = await host.findJail(spec)
    const how = found ? ({ jailState: 'running', jid: found.jid } as const) : ({ jailState: 'stopped', jid: null } as const)
    await send({ type: 'jail', host: hostId, jail: name, epoch: settled.epoch, at: new Date().toISOString(), ...how })
  })
}
