import { existsSync, statSync } from 'node:fs'
import { link, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { limitRules } from '../limits/limits.ts'
import { quote } from './jail-conf.ts'

/**
 * Lets a running jail come back at boot. Its file is a second name (link(2)) of the one that it was started with, so the two
 * cannot differ: `jail -r` acts on the file's present content. The worker starts and stops with the one beside the jail,
 * since this one is the last to come and the first to go: a bad file here would stop every jail of the host.
 */
export async function comeBackAtBoot(host: FreebsdHost, jail: JailSpec): Promise<void> {
  const { conf, boot } = host.layout.jail(jail.name)
  await ensureLimitsAtBoot(host, jail)
  await rm(boot, { force: true })
  await link(conf, boot)
}

/** Holds the jail to its limits from its first process on, at the next boot too. */
export async function ensureLimitsAtBoot(host: FreebsdHost, jail: JailSpec): Promise<void> {
  await changeRules(host, jail.name, limitRules(jail))
}

/** From now on the jail does not come back at boot. */
export async function stayDownAtBoot(host: FreebsdHost, name: string): Promise<void> {
  await rm(host.layout.jail(name).boot, { force: true })
  await changeRules(host, name, [])
}

/** Whether the jail's start was believed: only then is its file put in place. */
export function comesBackAtBoot(host: FreebsdHost, name: string): boolean {
  const { conf, boot } = host.layout.jail(name)
  const [own, placed] = [conf, boot].map((path) => statSync(path, { throwIfNoEntry: false }))
  return own !== undefined && own.ino === placed?.ino
}

/** The line of /etc/jail.conf by which rc.d/jail finds our jails; `.include` came with 14.0, jail.conf(5). */
export function includeLine(include: string): string {
  return `.include ${quote(include)};`
}

/** Puts the line there once, at the end: what stands before is not ours. */
export async function ensureInclude(host: FreebsdHost): Promise<void> {
  const path = join(host.etc, 'jail.conf')
  const line = includeLine(host.layout.include)
  const text = await textOf(path)
  if (text.split('\n').some((each) => each.trim() === line)) return
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`
  await replace(path, `${before}# The jails that Provost brings back at boot.\n${line}\n`)
}

/** Our part of rctl.conf(5): rc.d/rctl runs before the jails start, so limits hold from their first process. */
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
  return readFile(path, 'utf8').catch((error) => {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  })
}

/** Written aside, then renamed: who reads it meanwhile sees the old or the new, and a crash leaves one of them. */
async function replace(name: string, text: string): Promise<void> {
  await mkdir(dirname(name), { recursive: true })
  // Where an operator keeps it elsewhere, the link stays.
  const path = await realpath(name).catch(() => name)
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0o644
  await writeFile(`${path}.provost-new`, text, { mode, flush: true })
  await rename(`${path}.provost-new`, path)
}
