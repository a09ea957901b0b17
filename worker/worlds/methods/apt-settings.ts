import { readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunCommand } from '../../host/programs/run-command.ts'

const aptDirectory = '/etc/apt'
const scripts = '/usr/share/debootstrap/scripts'

/** One line or stanza of apt's sources that is enabled and has packages, sources.list(5). */
type AptSource = { uri: string; suites: string[] }

/** Returns the http and https sources in a `.list` file (one a line) or a `.sources` file (deb822 stanzas). */
export function parseSources(name: string, text: string): AptSource[] {
  const sources = name.endsWith('.sources') ? parseStanzas(text) : parseLines(text)
  return sources
    .filter(({ uri }) => /^https?:\/\//.test(uri))
    .map(({ uri, suites }) => ({ uri: uri.replace(/\/+$/, ''), suites }))
}

function parseLines(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/.exec(line)
    return match?.[1] && match[2] ? [{ uri: match[1], suites: [match[2]] }] : []
  })
}

function parseStanzas(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = fieldsOf(stanza)
    const words = (field: string) => (fields.get(field) ?? '').split(/\s+/).filter(Boolean)
    const off = /^(no|false|off|0|without|disable)$/i.test(fields.get('enabled') ?? 'yes')
    if (off || !words('types').includes('deb')) return []
    return words('uris').map((uri) => ({ uri, suites: words('suites') }))
  })
}

function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>()
  let last = ''
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue
    const match = /^([A-Za-z][\w-]*):\s*(.*)$/.exec(line)
    if (match?.[1]) {
      last = match[1].toLowerCase()
      fields.set(last, match[2] ?? '')
    } else if (/^\s/.test(line)) fields.set(last, `${fields.get(last)} ${line.trim()}`)
  }
  return fields
}

/**
 * Returns the mirror for a suite: one from which apt has this suite, or else a suite of the same distribution. `scriptOf` returns
 * the script that debootstrap makes a suite with; a whole distribution has one.
 */
export function chooseMirror(sources: AptSource[], suite: string, scriptOf: (suite: string) => string | undefined) {
  const exact = sources.find(({ suites }) => suites.includes(suite))
  const script = scriptOf(suite)
  const kin = sources.find(({ suites }) => script !== undefined && suites.some((other) => scriptOf(other) === script))
  return (exact ?? kin)?.uri
}

/** Returns the mirror that apt uses here for a suite; undefined when it uses none. */
export async function mirrorOf(suite: string): Promise<string | undefined> {
  const parts = (await readdir(join(aptDirectory, 'sources.list.d')).catch(() => [])).filter((name) =>
    /\.(list|sources)$/.test(name),
  )
  const files = ['sources.list', ...parts.sort().map((name) => join('sources.list.d', name))]
  const texts = await Promise.all(files.map((name) => readFile(join(aptDirectory, name), 'utf8').catch(() => '')))
  const sources = files.flatMap((name, i) => parseSources(name, texts[i] ?? ''))

  const suites = [suite, ...sources.flatMap((source) => source.suites)].filter((name) => !name.includes('/'))
  const known = await Promise.all(
    suites.map(async (name) => [name, await realpath(join(scripts, name)).catch(() => undefined)] as const),
  )
  const scriptBySuite = new Map(known)
  return chooseMirror(sources, suite, (name) => scriptBySuite.get(name))
}

/** Returns how apt reaches its mirrors, as settings of wget(1), with which debootstrap downloads. */
export async function wgetSettings(run: RunCommand, signal: AbortSignal): Promise<string[]> {
  const dump = await run('apt-config', ['dump', '--no-empty', 'Acquire::http', 'Acquire::https'], { signal }).catch(
    () => undefined,
  )
  signal.throwIfAborted()
  return dump ? settingsOf(dump.stdout) : []
}

/** `dump` is what `apt-config dump` prints. */
export function settingsOf(dump: string): string[] {
  const value = (key: string) => new RegExp(`^Acquire::${key} "([^"\n]+)";$`, 'im').exec(dump)?.[1]
  const proxy = (kind: string) => {
    const url = value(`${kind}::Proxy`)
    return url && url !== 'DIRECT' ? [`${kind}_proxy = ${url}`, 'use_proxy = on'] : []
  }
  const authorities = value('https::CaInfo')
  return [...proxy('http'), ...proxy('https'), ...(authorities ? [`ca_certificate = ${authorities}`] : [])]
}
