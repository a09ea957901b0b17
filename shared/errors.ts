import { hideCredentials } from './credentials.ts'

type Entry = { status?: number; retryable?: true; hint: string }

/**
 * All error codes: the HTTP status, whether the step may be retried automatically, and a hint that names what a person can do
 * next.
 */
const table = {
  // A request is wrong or cannot be fulfilled.
  invalid_request: { status: 400, hint: 'Correct the named fields and send the request again.' },
  unauthorized: { status: 401, hint: 'Send the header "Authorization: Bearer KEY" with a key of this fleet.' },
  forbidden: { status: 403, hint: 'The detail says why; send the request from where it is allowed.' },
  not_found: { status: 404, hint: 'Check the name: what was destroyed, or ended more than 30 days ago, is gone.' },
  name_taken: { status: 409, hint: 'Choose another name, or destroy the jail that has it.' },
  no_capacity: { status: 409, hint: 'Ask for less, destroy a jail, or add a host.' },
  no_free_address: { status: 409, hint: 'Destroy a jail, or add a pool to a host.' },
  address_taken: { status: 409, hint: 'Choose another address, or leave it out and get a free one.' },
  no_suitable_host: {
    status: 409,
    hint: 'The detail says of each host what keeps it from taking the jail: change that, or wait until one is up again.',
  },
  ambiguous_name: { status: 409, hint: 'Say which by its id.' },
  batch_open: { status: 409, hint: 'Wait for the batch to end, or cancel it: provost batch cancel BATCH.' },
  jail_busy: { status: 409, hint: 'Wait for the named operation to end, or cancel it.' },
  jail_failed: { status: 409, hint: 'Retry its last operation, or destroy the jail.' },
  not_cancellable: { status: 409, hint: 'Such an operation only goes forward once it runs; wait for it to end.' },
  not_retryable: {
    status: 409,
    hint: "Only a jail's last operation can be retried, and only once it has failed or was cancelled.",
  },
  host_down: { status: 409, hint: 'Start the worker of the host; it tries again by itself what it is asked for here.' },
  host_up: {
    status: 409,
    hint: 'Only a host that is down, or has lost its root, can be forgotten. Stop its worker first; to place no more jails on it, drain it.',
  },
  too_large: { status: 413, hint: 'Send at most 1 MiB in one request.' },
  unknown_world: { status: 422, hint: 'GET /v1/worlds lists the worlds that hosts offer.' },
  unknown_host: { status: 422, hint: 'GET /v1/hosts lists the hosts of the fleet.' },
  address_not_in_pool: { status: 422, hint: "Ask for an address inside a host's pool; GET /v1/hosts lists the pools." },
  unsupported_limit: { status: 422, hint: 'Leave this limit out, or declare it in the capacity of a host that can hold it.' },
  idempotency_key_reused: { status: 422, hint: 'Use a new Idempotency-Key for a new request.' },
  rate_limited: { status: 429, hint: 'Wait as long as it says, then try again.' },
  too_many_followers: {
    status: 429,
    hint: 'End one of them (provost logs -f, follow=true), ask another producer, or ask now and then without follow.',
  },
  host_silent: { status: 504, hint: 'Try again; if it stays so, see in the log of its worker why, and whether that is older.' },
  queue_unavailable: {
    status: 503,
    hint: 'Send the same request again after Retry-After; under one Idempotency-Key it is done once.',
  },

  // Faults on a host while it carries out a plan.
  command_failed: { hint: "Read the command's output in the operation's log, fix its cause, then retry." },
  program_missing: { hint: 'Install the program on the host, or set commandPath; `provost doctor` lists what is needed.' },
  step_timeout: { hint: 'See in the log what the step waited for; retry when the host is quieter.' },
  mirror_unavailable: { retryable: true, hint: 'Check that the host reaches the mirror, then retry.' },
  resource_busy: { retryable: true, hint: 'Find what still uses it on the host (fuser, lsof), end it, then retry.' },
  checksum_mismatch: {
    hint: "The archive is not the one the world's definition names. Correct the sha256 or fetch the archive again.",
  },
  archive_invalid: { hint: 'The archive is damaged or of an unknown kind. Fetch it again.' },
  world_invalid: {
    hint: 'A world is the root of a userland, with etc, bin and the rest at its top: name that directory, or an archive packed there.',
  },
  world_source_missing: { hint: "Put the world's source where its definition says, or correct the definition." },
  world_too_new: { hint: 'Upgrade the host, or define an older world: a jail may be older than its host, never newer.' },
  disk_full: { hint: "Free space on the host's disk, then retry." },
  host_exhausted: {
    retryable: true,
    hint: 'See what takes the processes, the memory or the open files of the host (ps, free, sysctl), then retry.',
  },
  address_in_use: {
    hint: 'Another jail of the host lives with this address. `provost hosts show HOST` shows it; adopt or clean it, then retry.',
  },
  privilege_not_allowed: {
    hint: "Put `privileges: {setuid: true}` into the host's worker.yaml and start its worker again, or destroy the jail and make it without.",
  },
  isolation_unproven: { hint: 'A check of isolation failed; the jail was taken down. The named check says what was seen.' },
  journal_conflict: { hint: "The host's journal knows a later operation of this jail. Retry from the newest one." },
  journal_lost: {
    hint: 'Bring the directory back (mount its file system, or copy it back), then start the worker of the host again.',
  },
  not_built: { hint: 'The root of this jail is not on the host. Retry the provision.' },
  unknown_plan: { hint: 'Upgrade the worker of this host; it does not know this plan.' },
  moved_away: { hint: 'The operation was moved to another host; nothing is left here.' },
  records_lost: { hint: 'Redis had lost its records before the operation began on its host. Ask for it again.' },
  host_forgotten: { hint: 'Its host was given up. Destroy the jail, if it still is there, and create it again.' },
  ended_elsewhere: { hint: 'Its verdict was given while its host was away; what the host had begun of it is undone.' },
  poisoned: { hint: "Look at the worker's log and the kernel's for what ended it at this step, fix that, then retry." },
  job_refused: {
    hint: "Its host takes no job that its fleet's producer has not signed for it: see who else writes to Redis, and whether the host has joined. Retry.",
  },
  unreadable_job: { hint: 'Its producer and its worker are of versions that do not fit, or Redis was changed by hand. Retry.' },
  cancelled: { hint: 'Retry to start it again.' },
  host_unfit: { hint: 'Fix what is named; `provost doctor` checks the host.' },
  unexpected: { hint: "This is a fault of Provost; the worker's log has the details." },
} as const satisfies Record<string, Entry>

export type ErrorCode = keyof typeof table
export const errorCodes = Object.keys(table) as [ErrorCode, ...ErrorCode[]]
export const hintOf = (code: ErrorCode): string => table[code].hint

export type ErrorFacts = {
  hint?: string
  retryable?: boolean
  command?: string
  exitCode?: number
  logTail?: string
  step?: string
  /** `line` and `row` count from 1 in the file of a batch. */
  errors?: { line?: number | undefined; row?: number | undefined; field: string; message: string }[]
  /** The faults of a batch's rows by their cause, with the first lines of each. */
  causes?: {
    field: string
    message: string
    value?: string | undefined
    suggestion?: string | undefined
    count: number
    lines: number[]
  }[]
  /** The number of errors beyond those in `errors`. */
  more?: number
  /** Seconds, for `Retry-After`. */
  retryAfter?: number
  cause?: unknown
}

/** The one error class. Any other error is a bug of Provost. */
export class ProvostError extends Error {
  override readonly name = 'ProvostError'
  readonly code: ErrorCode
  readonly hint: string
  readonly retryable: boolean
  readonly facts: ErrorFacts

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(hideCredentials(message), facts.cause === undefined ? undefined : { cause: facts.cause })
    const entry: Entry = table[code]
    this.code = code
    this.hint = facts.hint ?? entry.hint
    this.retryable = facts.retryable ?? entry.retryable ?? false
    this.facts = withoutCredentials(facts)
  }

  /** The HTTP status; 500 for the codes of workers. */
  get status(): number {
    const entry: Entry = table[this.code]
    return entry.status ?? 500
  }
}

/** A command and what it printed may name a mirror with its password. */
function withoutCredentials(facts: ErrorFacts): ErrorFacts {
  const { command, logTail } = facts
  return {
    ...facts,
    ...(command === undefined ? {} : { command: hideCredentials(command) }),
    ...(logTail === undefined ? {} : { logTail: hideCredentials(logTail) }),
  }
}

const fullDisk = ['ENOSPC', 'EDQUOT']
const noRoom = ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE']

/** Whether an errno says that the host has no room for another process, its memory or its files: it may have in a moment. */
export const isNoRoom = (errno: string | undefined) => errno !== undefined && noRoom.includes(errno)

/** Converts any thrown value: a full disk becomes `disk_full`, a host without room `host_exhausted`, any other `unexpected`. */
export function toProvostError(thrown: unknown): ProvostError {
  if (thrown instanceof ProvostError) return thrown
  const errno = errnoOf(thrown)
  if (errno !== undefined && fullDisk.includes(errno))
    return new ProvostError('disk_full', 'The disk of the host is full.', { cause: thrown })
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  if (isNoRoom(errno)) return new ProvostError('host_exhausted', `The host has no room: ${message}`, { cause: thrown })
  return new ProvostError('unexpected', message, { cause: thrown })
}

/** The name of a system error's errno, like `ENOENT`. */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined
}
