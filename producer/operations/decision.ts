import type { Logger } from 'pino'
import type { CreateJail } from '#shared/jail.ts'
import type { Admission, Hosts } from '../placement/place-jail.ts'
import type { FleetHosts } from '../placement/placement-host.ts'
import type { Enqueued } from '../queues/enqueue.ts'
import type { Change } from '../records/change.ts'
import type { UnplacedJail } from '../records/jails/jail-changes.ts'
import type { JailRecord, NewJail } from '../records/jails/jail-record.ts'
import type { UnplacedOperation } from '../records/operations/operation-changes.ts'
import type { NewOperation, OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

/** What every request needs that makes an operation. */
export type AcceptDeps = Store &
  Hosts & {
    hosts: FleetHosts
    log: Logger
    enqueue(enqueued: Enqueued): Promise<void>
    /**
     * The fleet whose hosts these are: nothing new is admitted should Redis have another one by then.
     * @throws ProvostError `queue_unavailable` while its records are missing.
     */
    openFleet?(): string
  }

/** What a caller gets: the operation as it is now, its jail if there still is one, and whether this is an old answer. */
export type Answer = { operation: NewOperation | OperationRecord; jail: NewJail | JailRecord | null; replayed: boolean }

/** A change to commit, how the records are then, whether a worker has to do anything, and the operation that is to end for it. */
export type Commit = { type: 'commit'; change: Change; accepted: Enqueued; wakes: boolean; cancels?: Enqueued }

/** What a request comes to: an answer without a change, a change, or an admission, which is a change that finds a host. */
export type Decision = { type: 'answer'; answer: Answer } | Commit | Admit

/** A jail that is to get its name, its addresses and its capacity, all of it or nothing. */
export type Admit = {
  type: 'admit'
  ask: CreateJail
  change: Admission
  accepted: { jail: UnplacedJail; operation: UnplacedOperation }
  isAgain: boolean
}

/** What became of a decision. */
export type Committed =
  | { type: 'done'; accepted: Enqueued }
  | { type: 'changed' | 'reused' }
  | { type: 'replayed'; operation: string }
