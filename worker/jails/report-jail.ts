import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { JailReport } from '#shared/report.ts'
import type { RunDeps } from '../plans/run.ts'

type Deps = Pick<RunDeps, 'host' | 'journal' | 'withJail'> & {
  hostId: string
  send(report: JailReport): Promise<void>
}

/**
 * Reports how a jail is between operations, where nothing else reports it: when an operation has left it unchanged (an earlier
 * report does not count once a newer operation is asked for), or the fleet did not know the jail until now.
 */
export function reportJail(name: string, { hostId, host, journal, withJail, send }: Deps): Promise<void> {
  return withJail(name, async () => {
    const { spec, settled, current } = journal.jail(name) ?? {}
    // What somebody did to it by hand is reported as drift.
    if (!spec || !settled || settled.wanted === 'gone' || settled.drift || current) return
    const running = await host.findJail(spec)
    const how = running ? ({ jailState: 'running', jid: running.jid } as const) : ({ jailState: 'stopped', jid: null } as const)
    await send({ type: 'jail', host: hostId, jail: name, epoch: settled.epoch, at: fleetTime().toISOString(), ...how })
  })
}
