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
    hosts: `${prefix}:hosts`,
    draining: `${prefix}:hosts:draining`,
    jail: (name: string) => `${prefix}:jail:${name}`,
    /** Sorted set by name: all jails, or those of one client, host or state. */
    jails: (by?: 'client' | 'host' | 'state', value?: string) => (by ? `${prefix}:jails:${by}:${value}` : `${prefix}:jails`),
    operation: (id: string) => `${prefix}:operation:${id}`,
    /** Sorted set by id, which is by time: all operations, those of one jail, batch or status, or those of a host that have not ended. */
    operations: (by?: 'jail' | 'batch' | 'status' | 'host', value?: string) =>
      by ? `${prefix}:operations:${by}:${value}` : `${prefix}:operations`,
    idempotency: (scope: string, keyHash: string) => `${prefix}:idempotency:${scope}:${keyHash}`,
    /** BullMQ's prefix for a host's queues, and the start of all that its worker writes. */
    host: (id: string) => `${prefix}:host:${id}`,
    /** String: its `HostReport`, JSON. */
    hostReport: (id: string) => `${prefix}:host:${id}:report`,
    /** String: its last `HostBeat`, JSON. */
    hostBeat: (id: string) => `${prefix}:host:${id}:beat`,
    /** Hash: name of a jail → its `Drift`, JSON. */
    hostDrift: (id: string) => `${prefix}:host:${id}:drift`,
    /** String: its `Timings`, JSON. */
    hostTimings: (id: string) => `${prefix}:host:${id}:timings`,
    /** Expires when a host has been silent for too long. */
    hostAlive: (id: string) => `${prefix}:host:${id}:alive`,
    /** Set once, by whoever comes first: the worker with its epoch, or who moves the operation away. */
    binding: (host: string, operation: string, epoch: number) => `${prefix}:host:${host}:binding:${operation}:${epoch}`,
    /** List: the commands of an operation on this host and what they printed. */
    log: (host: string, operation: string) => `${prefix}:host:${host}:log:${operation}`,
    /** Channel: notices of operations to cancel. The durable flag is the operation's `cancelRequested`. */
    cancels: (host: string) => `${prefix}:host:${host}:cancels`,
  }
}
export type RedisKeys = ReturnType<typeof redisKeys>
