/**
 * The names of everything in Redis. All share one hash tag. A worker writes only below `host(id)` and to `reports`; the
 * rest is the producer's.
 */
export function redisKeys(prefix: string) {
  return {
    prefix,
    epoch: `${prefix}:epoch`,
    /** Stream: every change of a record. Its ids are `N-0`, where N is also the record's `revision`. */
    events: `${prefix}:events`,
    eventSequence: `${prefix}:events:sequence`,
    /** Stream: what workers say; emptied as it is applied. */
    reports: `${prefix}:reports`,
    /** Sorted set, score: milliseconds since 1970: operations whose jobs may not be in their queue yet. */
    wakeups: `${prefix}:wakeups`,
    /** Hash: address → name of the jail that has it, or `forgotten:HOST` while a host that is not there may still use it. */
    leases: `${prefix}:leases`,
    /** Who a lease of a forgotten host is held by, until the host is clean or known to be off. */
    forgottenHolder: (host: string) => `forgotten:${host}`,
    /** Hash: address so held → the list it goes back to. */
    heldLeases: (host: string) => `${prefix}:leases:held:${host}`,
    /** Hash: `operation` is the one that destroys an orphan, by its provision. What is being destroyed is not adopted. */
    cleaning: (provision: string) => `${prefix}:cleaning:${provision}`,
    /** Sorted set, score: milliseconds since 1970: leases whose jail there is not, since when. */
    strayLeases: `${prefix}:leases:stray`,
    /** Hash: how far a pool was given out, and of which definition. */
    pool: (cidr: string) => `${prefix}:pool:${cidr}`,
    /** List: addresses of a pool that were given back, oldest first. */
    returned: (cidr: string) => `${prefix}:pool:${cidr}:returned`,
    /** Hash: what a host has promised: jails, memory (bytes), cpu (thousandths of a core), disk (bytes). */
    promised: (host: string) => `${prefix}:promised:${host}`,
    /** String: written before a wait for replicas, so that it covers all before. */
    replicated: `${prefix}:replicated`,
    /** Hash: the fleet's `id`, made anew with a Redis that has none; when, and whether jails were lost with the last. */
    fleet: `${prefix}:fleet`,
    /** Hash: host → its `FleetHost`, JSON: those that a recovery waits for, has taken in, or lets go. */
    fleetHosts: `${prefix}:fleet:hosts`,
    /** String: the producer that takes journals in. Expires. */
    fleetLock: `${prefix}:fleet:lock`,
    hosts: `${prefix}:hosts`,
    draining: `${prefix}:hosts:draining`,
    jail: (name: string) => `${prefix}:jail:${name}`,
    /** Sorted set by name: all jails, or those of one client, host or state. */
    jails: (by?: 'client' | 'host' | 'state', value?: string) => (by ? `${prefix}:jails:${by}:${value}` : `${prefix}:jails`),
    operation: (id: string) => `${prefix}:operation:${id}`,
    /** Sorted set by id, which is by time: all operations, those of one jail, batch or status, or those of a host that have not ended. */
    operations: (by?: 'jail' | 'batch' | 'status' | 'host', value?: string) =>
      by ? `${prefix}:operations:${by}:${value}` : `${prefix}:operations`,
    /** Hash: name → the batch that has claimed it for a row which has no jail yet. Void when that batch is not there. */
    claims: `${prefix}:claims`,
    /** Sorted set by id, which is by time: all batches, or those that have not ended. */
    batches: (by?: 'open') => (by ? `${prefix}:batches:${by}` : `${prefix}:batches`),
    batch: (id: string) => `${prefix}:batch:${id}`,
    /** List: its rows in their order, `BatchRow`, JSON. */
    batchRows: (id: string) => `${prefix}:batch:${id}:rows`,
    /** Hash: number of a row → the operation that makes its jail; `done` for one whose jail was there. Those not there wait. */
    batchOutcomes: (id: string) => `${prefix}:batch:${id}:outcomes`,
    /** Hash: number of a row that was refused for good → `{code, message, hint}`, JSON. */
    batchRefused: (id: string) => `${prefix}:batch:${id}:refused`,
    /** Sorted set, score: milliseconds since 1970: rows that found no place, and when they are tried again. */
    batchDeferred: (id: string) => `${prefix}:batch:${id}:deferred`,
    /** Hash: the `token` of whoever changes the batch or releases its rows. Expires. */
    batchLock: (id: string) => `${prefix}:batch:${id}:lock`,
    /** Hash: its `names` are `claimed` as long as a batch that is being accepted has lost none to another one. Expires. */
    batchMark: (id: string) => `${prefix}:batch-mark:${id}`,
    idempotency: (scope: string, keyHash: string) => `${prefix}:idempotency:${scope}:${keyHash}`,
    /** BullMQ's prefix for a host's queues, and the start of all that its worker writes. */
    host: (id: string) => `${prefix}:host:${id}`,
    /** String: its `HostReport`, JSON. */
    hostReport: (id: string) => `${prefix}:host:${id}:report`,
    /** String: its last `HostBeat`, JSON. */
    hostBeat: (id: string) => `${prefix}:host:${id}:beat`,
    /** Hash: name of a jail → its `Drift`, JSON. */
    hostDrift: (id: string) => `${prefix}:host:${id}:drift`,
    /** Hash: name of a jail → its `Leftover`, JSON. */
    hostLeftovers: (id: string) => `${prefix}:host:${id}:leftovers`,
    /** String: its `Timings`, JSON. */
    hostTimings: (id: string) => `${prefix}:host:${id}:timings`,
    /** String: its `BackgroundWork`, JSON. */
    hostBackground: (id: string) => `${prefix}:host:${id}:background`,
    /** String: its `Upload`, JSON, and a list of that many `UploadEntry`, JSON: for a fleet whose id the host does not know. */
    hostUpload: (id: string) => `${prefix}:host:${id}:upload`,
    hostJournal: (id: string) => `${prefix}:host:${id}:journal`,
    /** Expires when a host has been silent for too long. */
    hostAlive: (id: string) => `${prefix}:host:${id}:alive`,
    /** Set once, by whoever comes first: the worker with its epoch, or who moves the operation away. */
    binding: (host: string, operation: string, epoch: number) => `${prefix}:host:${host}:binding:${operation}:${epoch}`,
    /** List: the commands of an operation on this host and what they printed. */
    log: (host: string, operation: string) => `${prefix}:host:${host}:log:${operation}`,
    /** Channel: `HostNotice`, JSON. The durable flag of a cancel is the operation's `cancelRequested`. */
    notices: (host: string) => `${prefix}:host:${host}:notices`,
  }
}
export type RedisKeys = ReturnType<typeof redisKeys>
