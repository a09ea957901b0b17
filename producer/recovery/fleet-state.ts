import type { Timing } from '#shared/process/timing.ts'
import type { FleetHost } from '#shared/recovery.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Fleet } from './fleet-records.ts'

type Deps = {
  hosts: Pick<HostRegistry, 'all' | 'fleetOf'>
  /** The hosts that the configuration names. */
  members: string[]
  timing: Pick<Timing, 'silence'>
}

export type FleetState = ReturnType<typeof makeFleetState>

/** Keeps what is known about the fleet, and decides which hosts must upload their journals before its records are complete. */
export function makeFleetState({ hosts, members, timing }: Deps) {
  let fleet: Fleet | undefined
  /** The recovery state of each host. */
  let statuses = new Map<string, FleetHost>()
  let waited: string[] = []
  let judged: unknown

  const isMember = (id: string) => members.length === 0 || members.includes(id)

  /** Whether a member host still belongs to another fleet, and so has jails whose records are lost. */
  function isOfOtherFleet(id: string): boolean {
    const known = hosts.fleetOf(id)
    return isMember(id) && known !== undefined && known !== '' && known !== fleet?.id
  }

  function isWaitedFor(id: string): boolean {
    const status = statuses.get(id)
    if ((status && status.state !== 'awaited') || !isMember(id)) return false
    return hosts.fleetOf(id) === undefined ? status !== undefined : isOfOtherFleet(id)
  }

  function judge(): void {
    judged = hosts.all()
    waited = [...new Set([...statuses.keys(), ...hosts.all().map(({ id }) => id)])].filter(isWaitedFor).sort()
  }

  /** Returns the hosts whose jails are missing in the records. */
  function waitedFor(): string[] {
    // Another host may have come since the last look.
    if (judged !== hosts.all()) judge()
    return waited
  }

  const isFresh = () => fleet !== undefined && fleetTimeMs() - fleet.foundedAtMs < timing.silence

  /** If it is not known which hosts there were, more may report: all that are alive do so within one silence. */
  const mayHaveMore = () => fleet?.hasLost === true && !fleet.wereExpected && isFresh()

  return {
    fleet: () => fleet,
    statuses: () => statuses,
    update(newFleet: Fleet, newStatuses: Map<string, FleetHost> = statuses): void {
      statuses = newStatuses
      // Set last: whatever is admitted under it may rely on the states of its hosts.
      fleet = newFleet
      judge()
    },
    updateHost(id: string, status: FleetHost): void {
      statuses.set(id, status)
      judge()
    },
    isOfOtherFleet,
    waitedFor,
    isRecovering: () => waitedFor().length > 0 || mayHaveMore(),

    /** Whether a host that has not reported since the loss may be alive, as one silence has not passed yet. */
    mayLiveUnseen: () => (waitedFor().some((id) => hosts.fleetOf(id) === undefined) && isFresh()) || mayHaveMore(),

    /** Returns why records are missing; empty if they are complete. */
    reasons(): string[] {
      const waits = waitedFor().map((id) =>
        hosts.fleetOf(id) === undefined
          ? fleet?.hasLost
            ? `host ${id} has not reported since Redis lost its records`
            : `host ${id} has not reported to this fleet yet, and may have its records`
          : `the journal of host ${id} is being taken in`,
      )
      return waits.length === 0 && mayHaveMore() ? ['Redis lost its records, and more hosts may report'] : waits
    },
  }
}
