import { existsSync } from 'node:fs'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import type { LinuxHost } from '../linux-host.ts'
import { giveBackMark, markOf, marksOf, takeMark } from './client-marks.ts'
import { filterRules } from './filter-rules.ts'

/** Puts the rules of a jail's link in their place, or anew, in one transaction. The host's end of the link must be there. */
export async function ensureFilter(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const input = rulesOf(host, jail, takeMark(host, jail))
  await host.run('nft', ['--file', '-'], { input, signal })
}

/** Removes the rules of a jail's link. The link must be gone, or it would be without them. */
export async function removeFilter(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  if (!hasFilter(host, jail)) return
  await host.run('nft', ['--file', '-'], { input: removal([host.layout.jail(jail.name).filter]), signal })
  giveBackMark(host, jail)
}

/** Whether the jail has rules, or is about to get them. */
export function hasFilter(host: LinuxHost, jail: JailSpec): boolean {
  return markOf(host, jail) !== undefined
}

/** Removes the rules of every link that is gone: a killed worker may have left them, and nobody else knows of these. */
export async function removeStaleFilters(host: LinuxHost): Promise<void> {
  const { filters, jail } = host.layout
  const { stdout } = await host.run('nft', ['list', 'tables', 'netdev'])
  const names = [...stdout.matchAll(/^table netdev (\S+)$/gm)].flatMap(([, name = '']) =>
    name.startsWith(filters) ? [name] : [],
  )
  const stale = names.filter((name) => !existsSync(`/sys/class/net/${jail(name.slice(filters.length)).veth}`))
  if (stale.length > 0) await host.run('nft', ['--file', '-'], { input: removal(stale) })
}

/** Returns the jails whose link has rules at both ends, by the names of their tables. */
export async function filteredLinks(host: LinuxHost): Promise<Set<string>> {
  const { stdout } = await host.run('nft', ['list', 'chains', 'netdev'])
  const tables = stdout.split(/^table netdev /m).slice(1)
  const isWhole = (table: string) => ['ingress', 'egress'].every((hook) => table.includes(`type filter hook ${hook} device`))
  return new Set(tables.filter(isWhole).map((table) => table.split(/\s/, 1)[0] ?? ''))
}

/** Returns how the rules that the kernel has for a jail's link differ from those made for it: a line for each, `-` for a missing one. */
export async function differencesOf(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<string[]> {
  const { filter } = host.layout.jail(jail.name)
  const mark = markOf(host, jail)
  if (mark === undefined) return ['- all: none were made for it']
  const seen = await listed(host, filter, signal)
  if (seen === undefined) return ['- all: they are gone']
  const wanted = linesOf(rulesOf(host, jail, mark))
  return differences(wanted, linesOf(seen))
}

async function listed(host: LinuxHost, table: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await host.run('nft', ['-nn', 'list', 'table', 'netdev', table], { signal })).stdout
  } catch (error) {
    if (error instanceof ProvostError && /No such file or directory/.test(error.facts.logTail ?? '')) return undefined
    throw error
  }
}

function rulesOf({ layout, config, ...host }: LinuxHost, jail: JailSpec, mark: number): string {
  const { filter, veth, mac } = layout.jail(jail.name)
  const { pools, allowHost = [] } = config.network
  const otherMarks = marksOf({ layout, config, ...host })
  return filterRules({ table: filter, link: veth, mac, addresses: jail.addresses, pools, allowHost, mark, otherMarks })
}

/** Returns each rule behind the name of its chain, in its order there; the order of chains and of a set's elements means nothing. */
function linesOf(rules: string): string[] {
  const chains = rules
    .split(/^\s*chain /m)
    .slice(1)
    .sort()
  return chains.flatMap((chain) => {
    const [name = '', ...lines] = chain.split('\n').map((line) => line.trim())
    return lines.filter((line) => line !== '' && line !== '}').map((line) => `${name.replace(' {', ':')} ${sortSets(line)}`)
  })
}

function sortSets(line: string): string {
  return line.replace(/\{ ([^}]*) \}/g, (_, elements: string) => `{ ${elements.split(', ').sort().join(', ')} }`)
}

function differences(wanted: string[], seen: string[]): string[] {
  const lines = (from: string[], without: string[], sign: string) =>
    from.filter((line) => !without.includes(line)).map((line) => `${sign} ${line}`)
  const found = [...lines(wanted, seen, '-'), ...lines(seen, wanted, '+')]
  return found.length === 0 && wanted.join('\n') !== seen.join('\n') ? ['they stand in another order, or twice'] : found
}

function removal(tables: string[]): string {
  return tables.map((table) => `add table netdev ${table}\ndelete table netdev ${table}\n`).join('')
}
