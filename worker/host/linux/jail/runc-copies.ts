import { existsSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { JailSpec } from '#shared/job.ts'
import type { LinuxHost } from '../linux-host.ts'
import { unmountBelow } from '../root/mounts.ts'

/**
 * Removes the copies of itself that a killed runc has left: on its way into a jail, runc has one in the jail's state, mounted
 * there for a moment, so that nothing in the jail can write to it. @throws ProvostError `resource_busy`
 */
export async function removeRuncCopies(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { runcState } = host.layout.jail(jail.name)
  if (!existsSync(runcState)) return
  await unmountBelow(host.run, runcState, signal)
  const copies = readdirSync(runcState).filter((name) => name.startsWith('runc.'))
  for (const copy of copies) await rm(join(runcState, copy), { force: true })
}
