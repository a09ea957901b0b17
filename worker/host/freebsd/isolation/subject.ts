import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import type { JailRecord } from '../jail/jls.ts'
import type { Mount } from '../root/mounts.ts'

/** A running jail to look at; `actual` is what the kernel has of its parameters, `mounts` are the host's. */
export type Subject = {
  host: FreebsdHost
  jail: JailSpec
  jid: number
  actual: JailRecord
  mounts: Mount[]
  signal: AbortSignal
}

/** Returns a fault for each parameter that is not as it was asked for. */
export function differing(actual: JailRecord, asked: Record<string, string>): string[] {
  return Object.entries(asked)
    .filter(([key, value]) => `${actual[key] ?? ''}` !== value)
    .map(([key, value]) => `${key} is ${actual[key] ?? 'not known'} and not ${value}`)
}
