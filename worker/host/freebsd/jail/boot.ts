import { existsSync, statSync } from 'node:fs'
import { link, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { JailSpec } from '#shared/job.ts'
import { undefinedIfAbsent } from '../../paths.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { limitRules } from '../limits/limits.ts'
import { quote } from './jail-conf.ts'

/**
 * Lets a running jail start at boot. Its file for the boot is a second name (link(2)) of the one that it was started with, so the
 * two cannot differ: `jail -r` acts on the file's present content. The worker starts and stops with the one beside the jail,
 * since this one is made last and removed first: a bad file here would stop every jail of the host.
 */
export async function enableAtBoot(host: FreebsdHost, jail: JailSpec): Promise<void> {
  const { conf, boot } = host.layout.jail(jail.name)
  await ensureLimitsAtBoot(host, jail)
  await rm(boot, { force: true })
  await link(conf, boot)
}

/** Sets the jail's limits at the next boot too, from its first process on. */
export async function ensureLimitsAtBoot(host: FreebsdHost, jail: JailSpec): Promise<void> {
  await changeRules(host, jail.name, limitRules(jail))
}

/** Keeps a jail from starting at boot. */
export async function disableAtBoot(host: FreebsdHost, name: string): Promise<void> {
  await rm(host.layout.jail(name).boot, { force: true })
  await changeRules(host, name, [])
}

/** Whether a jail starts at boot. Its file for that is made only once the start of the jail was proven. */
export function isEnabledAtBoot(host: FreebsdHost, name: string): boolean {
  const { conf, boot } = host.layout.jail(name)
  const [own, placed] = [conf, boot].map((path) => statSync(path, { throwIfNoEntry: false }))
  return own !== undefined && own.ino === placed?.ino
}

/** Returns the line of /etc/jail.conf that shows our jails to rc.d/jail; `.include` came with 14.0, jail.conf(5). */
export function includeLine(include: string): string {
  return `.include ${quote(include)};`
}

/** Puts the line into /etc/jail.conf once, at the end: what is before it is not ours. */
export async function ensureInclude(host: FreebsdHost): Promise<void> {
  const path = join(host.etc, 'jail.conf')
  const line = includeLine(host.layout.include)
  const text = await textOf(path)
  if (text.split('\n').some((each) => each.trim() === line)) return
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`
  await replace(path, `${before}# The jails that Provost brings back at boot.\n${line}\n`)
}

/** Changes our part of rctl.conf(5): rc.d/rctl runs before the jails start, so limits apply from their first process on. */
async function changeRules(host: FreebsdHost, name: string, rules: string[]): Promise<void> {
  const path = join(host.etc, 'rctl.conf')
  const [first, last] = [`# BEGIN provost ${host.layout.tag}`, `# END provost ${host.layout.tag}`]
  await host.fileLock(async () => {
    const lines = (await textOf(path)).split('\n')
    const [start, end] = [lines.indexOf(first), lines.indexOf(last)]
    const isWhole = start !== -1 && end > start
    const ours = isWhole ? lines.slice(start + 1, end) : []
    const others = isWhole ? [...lines.slice(0, start), ...lines.slice(end + 1)] : lines
    const kept = ours.filter((line) => !line.startsWith(`jail:${name}:`))
    const next = [...kept, ...rules]
    const foreign = others.join('\n').replace(/\n+$/, '')
    const block = next.length > 0 ? [first, ...next, last] : []
    const text = [...(foreign ? [foreign] : []), ...block].map((line) => `${line}\n`).join('')
    if (text === (await textOf(path)) || (text === '' && !existsSync(path))) return
    await replace(path, text)
  })
}

async function textOf(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(undefinedIfAbsent)) ?? ''
}

/** Writes aside, then renames: a reader sees the old text or the new one, and a crash leaves one of them. */
async function replace(name: string, text: string): Promise<void> {
  await mkdir(dirname(name), { recursive: true })
  // When an operator keeps the file elsewhere, the link stays.
  const path = await realpath(name).catch(() => name)
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0o644
  await writeFile(`${path}.provost-new`, text, { mode, flush: true })
  await rename(`${path}.provost-new`, path)
}
