import type { Logger } from 'pino'
import type { CreateJail } from '#shared/jail.ts'
import type { Hosts, PlacingChange } from '../placement/place-jail.ts'
import type { FleetHosts } from '../placement/placement-host.ts'
import type { Enqueued } from '../queues/enqueue.ts'
import type { Change } from '../records/change.ts'
import type { UnplacedJail } from '../records/jails/jail-changes.ts'
import type { JailRecord, NewJail } from '../records/jails/jail-record.ts'
import type { UnplacedOperation } from '../records/operations/operation-changes.ts'
import type { NewOperation, OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import type { Writes } from '../records/watch-writes.ts'

/** What every request that makes an operation needs. */
export type AcceptDeps = Store &
  Hosts & {
    hosts: FleetHosts
    log: Logger
    enqueue(enqueued: Enqueued): Promise<void>
    /**
     * Returns the id of the fleet of these hosts: nothing new is admitted if Redis has another one by then.
     * @throws ProvostError `queue_unavailable` while its records are missing, or Redis takes no writes.
     */
    openFleet?(): string
    /** Whether Redis takes writes, or did not a moment ago. */
    writes?: Pick<Writes, 'mayHostsBeUnheard'>
    /** Returns an epoch that Redis has had: with a lower one it is older than it was, and admits nothing. */
    seenEpoch?(): number
  }

/** The answer to a caller: the operation as it is now, its jail if there still is one, and whether it repeats an old answer. */
export type Answer = { operation: NewOperation | OperationRecord; jail: NewJail | JailRecord | null; replayed: boolean }

/** A change to commit, the records after it, whether there is work for a worker, and the operation that it cancels. */
export type Commit = { type: 'commit'; change: Change; accepted: Enqueued; wakes: boolean; cancels?: Enqueued }

/** How a request is decided: an answer without a change, a change, or an admission, which is a change that chooses a host. */
export type Decision = { type: 'answer'; answer: Answer } | Commit | Admission

/** The admission of a jail, which gets its name, addresses and capacity, all or nothing. */
export type Admission = {
  type: 'admit'
  ask: CreateJail
  change: PlacingChange
  accepted: { jail: UnplacedJail; operation: UnplacedOperation }
  isAgain: boolean
}

/** The result of committing a decision. */
export type Committed =
  | { type: 'done'; accepted: Enqueued }
  | { type: 'changed' | 'reused' }
  | { type: 'replayed'; operation: string }
