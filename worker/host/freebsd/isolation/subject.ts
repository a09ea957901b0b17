import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import type { JailRecord } from '../jail/jls.ts'
import type { Mount } from '../root/mounts.ts'

/** A running jail to look at: what the kernel has of its parameters, and the host's mounts. */
export type Subject = { host: FreebsdHost; jail: JailSpec; jid: number; held: JailRecord; mounts: Mount[]; signal: AbortSignal }

/** What a check found: the faults, and what to say when there is none. */
export type Finding = { faults: string[]; fine: string }

/** A fault for each parameter that is not as it was asked. */
export function differing(held: JailRecord, asked: Record<string, string>): string[] {
  return Object.entries(asked)
    .filter(([key, value]) => `${held[key] ?? ''}` !== value)
    .map(([key, value]) => `${key} is ${held[key] ?? 'not known'} and not ${value}`)
}
