/**
 * The names of all keys in Redis; they share one hash tag. Workers write only below `host(id)` and to `reports`, producers
 * everything else, and below `host(id)` the jobs, the bindings of what they move, and the end of what they have forgotten.
 */
export function redisKeys(prefix: string) {
  return {
    prefix,
    epoch: `${prefix}:epoch`,
    /** Stream: every change of a record. Ids are `N-0`, where N is the record's `revision`. */
    events: `${prefix}:events`,
    eventSequence: `${prefix}:events:sequence`,
    /** Stream: reports of workers, each removed once applied. */
    reports: `${prefix}:reports`,
    /** Sorted set by ms since 1970: operations whose jobs may not be in their queue yet. */
    wakeups: `${prefix}:wakeups`,
    /**
     * Hash: address → the jail that has it, or `forgotten:HOST` while an orphan of that host, or a forgotten host, may still use it.
     * `…:count` is how many there are, by which a Redis that lost some is noticed.
     */
    leases: `${prefix}:leases`,
    /** The holder of the leases of a forgotten host, until it is clean or known to be off, and of those of a host's orphans. */
    forgottenHolder: (host: string) => `forgotten:${host}`,
    /** Hash: held address → the list it returns to. */
    heldLeases: (host: string) => `${prefix}:leases:held:${host}`,
    /** Hash: held address → `Held`, JSON: the jail that may still use it. */
    heldFor: (host: string) => `${prefix}:leases:held:${host}:for`,
    /** Hash: `operation` destroys the orphan of this provision, which therefore cannot be adopted. */
    cleaning: (provision: string) => `${prefix}:cleaning:${provision}`,
    /** Sorted set by ms since 1970: leases without a jail, and since when. */
    strayLeases: `${prefix}:leases:stray`,
    /** Hash: how far a pool is used up, its definition, and how long the list of its returned addresses is. */
    pool: (cidr: string) => `${prefix}:pool:${cidr}`,
    /** List: returned addresses of a pool, oldest first. */
    returned: (cidr: string) => `${prefix}:pool:${cidr}:returned`,
    /** Hash: promises of a host: jails, memory (bytes), cpu (thousandths of a core), disk (bytes). */
    promised: (host: string) => `${prefix}:promised:${host}`,
    /** String: a session that was ended before its time, by the hash of its cookie. Expires with it. */
    endedSession: (hash: string) => `${prefix}:session-ended:${hash}`,
    /** String: written before a WAIT for replicas, so that the WAIT covers all earlier writes. */
    replicated: `${prefix}:replicated`,
    /** String: written again and again, to see whether Redis takes writes. */
    writable: `${prefix}:writable`,
    /** Hash: the fleet's `id`, created in a Redis that has none; when, and whether jails were lost with the previous one. */
    fleet: `${prefix}:fleet`,
    /** Hash: host → its `FleetHost`, JSON: hosts that a recovery waits for, has taken in, or has given up. */
    fleetHosts: `${prefix}:fleet:hosts`,
    /** String: the producer that takes in journals. Expires. */
    fleetLock: `${prefix}:fleet:lock`,
    hosts: `${prefix}:hosts`,
    /** String: a join token that has been given out and not been used, under the MAC of it. Expires. */
    invitation: (mac: string) => `${prefix}:invitation:${mac}`,
    draining: `${prefix}:hosts:draining`,
    jail: (name: string) => `${prefix}:jail:${name}`,
    /** Sorted set by name: all jails, or those of one client, host or state. */
    jails: (by?: 'client' | 'host' | 'state', value?: string) => (by ? `${prefix}:jails:${by}:${value}` : `${prefix}:jails`),
    operation: (id: string) => `${prefix}:operation:${id}`,
    /** Sorted set by id, thus by time: all operations, those of one jail, batch or status, or those of a host that are open. */
    operations: (by?: 'jail' | 'batch' | 'status' | 'host', value?: string) =>
      by ? `${prefix}:operations:${by}:${value}` : `${prefix}:operations`,
    /** Hash: name → the batch that claimed it for a row without a jail yet. Void when that batch does not exist. */
    claims: `${prefix}:claims`,
    /** Sorted set by id, thus by time: all batches, or the open ones. */
    batches: (by?: 'open') => (by ? `${prefix}:batches:${by}` : `${prefix}:batches`),
    batch: (id: string) => `${prefix}:batch:${id}`,
    /** List: its rows in order, `BatchRow`, JSON. */
    batchRows: (id: string) => `${prefix}:batch:${id}:rows`,
    /** Hash: row number → the operation that makes its jail, or `done` if the jail existed. Rows without an entry wait. */
    batchOutcomes: (id: string) => `${prefix}:batch:${id}:outcomes`,
    /** Hash: number of a finally refused row → `{code, message, hint}`, JSON. */
    batchRefused: (id: string) => `${prefix}:batch:${id}:refused`,
    /** Sorted set by ms since 1970: rows that fit on no host, and when they are tried again. */
    batchDeferred: (id: string) => `${prefix}:batch:${id}:deferred`,
    /** Hash: the `token` of the producer that changes the batch or releases its rows. Expires. */
    batchLock: (id: string) => `${prefix}:batch:${id}:lock`,
    /** Hash: `names` is `claimed` while a batch under acceptance has lost no name to another batch. Expires. */
    batchMark: (id: string) => `${prefix}:batch-mark:${id}`,
    idempotency: (scope: string, keyHash: string) => `${prefix}:idempotency:${scope}:${keyHash}`,
    /** BullMQ's prefix for a host's queues, and the prefix of all keys that its worker writes. */
    host: (id: string) => `${prefix}:host:${id}`,
    /** String: its `HostReport`, JSON. */
    hostReport: (id: string) => `${prefix}:host:${id}:report`,
    /** String: its last `HostBeat`, JSON. */
    hostBeat: (id: string) => `${prefix}:host:${id}:beat`,
    /** Hash: jail → its `Drift`, JSON. */
    hostDrift: (id: string) => `${prefix}:host:${id}:drift`,
    /** Hash: jail → its `Leftover`, JSON. */
    hostLeftovers: (id: string) => `${prefix}:host:${id}:leftovers`,
    /** String: the id of the root that has the jails that the fleet knows on it. */
    hostRoot: (id: string) => `${prefix}:host:${id}:root`,
    /** String: its `Timings`, JSON. */
    hostTimings: (id: string) => `${prefix}:host:${id}:timings`,
    /** String: its `BackgroundWork`, JSON. */
    hostBackground: (id: string) => `${prefix}:host:${id}:background`,
    /** String: its `Upload`, JSON, and a list of as many `UploadEntry`, JSON, for a fleet whose id the host does not know. */
    hostUpload: (id: string) => `${prefix}:host:${id}:upload`,
    hostJournal: (id: string) => `${prefix}:host:${id}:journal`,
    /** String: expires when the host has been silent for too long. */
    hostAlive: (id: string) => `${prefix}:host:${id}:alive`,
    /** String, set once: by the worker with its epoch, or by the producer that moves the operation away. */
    binding: (host: string, operation: string, epoch: number) => `${prefix}:host:${host}:binding:${operation}:${epoch}`,
    /** List: commands of an operation on this host, with their output. */
    log: (host: string, operation: string) => `${prefix}:host:${host}:log:${operation}`,
    /** String: its answer to a request for a jail's console, `ConsoleText` or null, JSON. Expires. */
    console: (host: string, request: string) => `${prefix}:host:${host}:console:${request}`,
    /** Channel: `HostNotice`, JSON. A cancel is durable only as the operation's `cancelRequested`. */
    notices: (host: string) => `${prefix}:host:${host}:notices`,
  }
}
export type RedisKeys = ReturnType<typeof redisKeys>
