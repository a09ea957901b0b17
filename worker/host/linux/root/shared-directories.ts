import { rmdirSync } from 'node:fs'
import { errnoOf } from '#shared/errors.ts'
import { removeCgroup } from '../limits/cgroups.ts'
import type { LinuxHost } from '../linux-host.ts'

/**
 * Removes what all jails of this host share, once it is empty: the parent cgroup and the directories below /run. Not while a
 * jail is being started, which may just have made one of them. Nothing here is asynchronous, so that no start can begin
 * meanwhile.
 */
export function removeSharedDirectories({ layout, cgroups, starting }: LinuxHost): void {
  if (starting.count > 0) return
  removeCgroup(cgroups, layout.cgroupParent)
  for (const directory of [layout.runcRoot, layout.networks, layout.clients, layout.jailsRun, layout.runDirectory]) {
    try {
      rmdirSync(directory)
    } catch (error) {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error
    }
  }
}
