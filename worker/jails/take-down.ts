import type { JailSpec } from '#shared/job.ts'
import type { HostRuntime } from '../host/host-runtime.ts'

/** Takes a jail down, from whatever is left of it, and away with its root if said. @throws ProvostError what does not go */
export async function removeJail(spec: JailSpec, host: HostRuntime, how: 'with-root' | 'but-root'): Promise<void> {
  await host.removeJail(spec, AbortSignal.timeout(60_000))
  await host.removeNetwork(spec, AbortSignal.timeout(60_000))
  if (how === 'with-root') await host.removeRoot(spec, AbortSignal.timeout(600_000))
}
