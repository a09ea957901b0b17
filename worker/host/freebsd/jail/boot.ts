import { statSync } from 'node:fs'
import { link, rm } from 'node:fs/promises'
import type { JailSpec } from '#shared/job.ts'
import { replaceFile } from '../../files/replace-file.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { limitRules } from '../limits/limits.ts'

/**
 * Lets a running jail start at boot. Its file for the boot is a second name (link(2)) of the one that it was started with, so the
 * two cannot differ: `jail -r` acts on the file's present content. The worker starts and stops with the one beside the jail;
 * this one is made last and removed first.
 */
export async function enableAtBoot(host: FreebsdHost, jail: JailSpec): Promise<void> {
  const { conf, boot } = host.layout.jail(jail.name)
  await ensureLimitsAtBoot(host, jail)
  await rm(boot, { force: true })
  await link(conf, boot)
}

/** Sets the jail's limits at the next boot too, from its first process on: the service that starts it reads them. */
export async function ensureLimitsAtBoot(host: FreebsdHost, jail: JailSpec): Promise<void> {
  const text = limitRules(host, jail).map((rule) => `${rule}\n`)
  await replaceFile(host.layout.jail(jail.name).bootLimits, text.join(''))
}

/** Keeps a jail from starting at boot. */
export async function disableAtBoot(host: FreebsdHost, name: string): Promise<void> {
  const { boot, bootLimits } = host.layout.jail(name)
  for (const path of [boot, bootLimits]) await rm(path, { force: true })
}

/** Whether a jail starts at boot. Its file for that is made only once the start of the jail was proven. */
export function isEnabledAtBoot(host: FreebsdHost, name: string): boolean {
  const { conf, boot } = host.layout.jail(name)
  const [own, placed] = [conf, boot].map((path) => statSync(path, { throwIfNoEntry: false }))
  return own !== undefined && own.ino === placed?.ino
}
