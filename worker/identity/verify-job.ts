import { ProvostError } from '#shared/errors.ts'
import { hasExpired, type Job, jobsOf } from '#shared/job.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { isSigned, type PublicKeys } from '#shared/signing/signatures.ts'
import type { Identity } from './identity.ts'

type Deps = {
  hostId: string
  identity: Identity | undefined
  /** Whether this host has begun exactly this attempt already: its job was verified then. */
  hasBegun(job: Pick<Job, 'operation' | 'epoch' | 'attempt'>): boolean
  refused(why: string, data: unknown): void
}

export type VerifyJob = ReturnType<typeof makeVerifyJob>

/** Returns what says why a job must not be obeyed, before anything of it is read; undefined for one that may be. */
export function makeVerifyJob({ hostId, identity, hasBegun, refused }: Deps) {
  function whyNot(data: unknown, signers: PublicKeys): string | undefined {
    if (!isSigned('job', data, signers)) return 'it does not bear the signature of a producer of this fleet'
    const job = data as Job
    if (job.host !== hostId) return `it is for host ${job.host}`
    if (!(Date.parse(job.expiresAt ?? '') > fleetTimeMs()) && !hasBegun(job)) return `${hasExpired} ${job.expiresAt}`
    return undefined
  }

  return (data: unknown, name?: string): ProvostError | undefined => {
    const kind = (data as Partial<Job> | null)?.kind
    const names: readonly string[] | undefined = kind && Object.hasOwn(jobsOf, kind) ? jobsOf[kind] : undefined
    const isOdd = name !== undefined && names !== undefined && !names.includes(name)
    const why = (identity && whyNot(data, identity.signers)) ?? (isOdd ? `a ${kind} has no job called ${name}` : undefined)
    if (why === undefined) return undefined
    refused(why, data)
    return new ProvostError('job_refused', `Host ${hostId} refuses the job: ${why}.`)
  }
}
