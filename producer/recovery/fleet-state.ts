import type { Timing } from '#shared/process/timing.ts'
import type { FleetHost } from '#shared/recovery.ts'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Fleet } from './fleet-records.ts'

type Deps = {
  hosts: Pick<HostRegistry, 'all' | 'fleetOf'>
  /** The hosts that the configuration names. */
  members: string[]
  timing: Pick<Timing, 'silence'>
}

/** What is known of the fleet, and which hosts have to be heard before its records are whole. */
export function makeFleetState({ hosts, members, timing }: Deps) {
  let fleet: Fleet | undefined
  /** By host, how far it is. */
  let statuses = new Map<string, FleetHost>()
  let waited: string[] = []
  let judged: unknown

  const isMember = (id: string) => members.length === 0 || members.includes(id)

  /** Whether a host of this fleet knows its jails by another one. */
  function isStrange(id: string): boolean {
    const known = hosts.fleetOf(id)
    return isMember(id) && known !== undefined && known !== '' && known !== fleet?.id
  }

  function isWaitedFor(id: string): boolean {
    const status = statuses.get(id)
    if ((status && status.state !== 'awaited') || !isMember(id)) return false
    return hosts.fleetOf(id) === undefined ? status !== undefined : isStrange(id)
  }

  function judge(): void {
    judged = hosts.all()
    waited = [...new Set([...statuses.keys(), ...hosts.all().map(({ id }) => id)])].filter(isWaitedFor).sort()
  }

  /** The hosts whose jails are missing in the records. */
  function waitedFor(): string[] {
    // Between two looks another host may have come.
    if (judged !== hosts.all()) judge()
    return waited
  }

  const isFresh = () => fleet !== undefined && Date.now() - fleet.foundedAtMs < timing.silence

  /** Nobody knows which other hosts there were: those that live have said so after one silence. */
  const mayHaveMore = () => fleet?.hasLost === true && !fleet.wereExpected && isFresh()

  return {
    fleet: () => fleet,
    statuses: () => statuses,
    know(now: Fleet, of: Map<string, FleetHost> = statuses): void {
      statuses = of
      // Last: what is admitted under it may rely on what is known of its hosts.
      fleet = now
      judge()
    },
    knowHost(id: string, status: FleetHost): void {
      statuses.set(id, status)
      judge()
    },
    isStrange,
    waitedFor,
    isRecovering: () => waitedFor().length > 0 || mayHaveMore(),

    /** Whether a host that has not reported since the loss may yet do so within one silence, as those that live do. */
    mayLiveUnseen: () => (waitedFor().some((id) => hosts.fleetOf(id) === undefined) && isFresh()) || mayHaveMore(),

    /** Why records are missing; none: they are whole. */
    reasons(): string[] {
      const waits = waitedFor().map((id) =>
        hosts.fleetOf(id) === undefined
          ? `host ${id} has not reported since Redis lost its records`
          : `the journal of host ${id} is being taken in`,
      )
      return waits.length === 0 && mayHaveMore() ? ['Redis lost its records, and more hosts may report'] : waits
    },
  }
}
