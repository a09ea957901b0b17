import { ProvostError } from '#shared/errors.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

/** What jls(8) says of a jail: its parameters by their names. */
export type JailRecord = Record<string, string | string[] | undefined>

export type FoundJail = { jid: number; name: string; path: string; dying: boolean }

const identity = ['jid', 'name', 'path', 'dying']

/** A jail that is up, by its name; undefined when there is none. */
export async function findByName(host: FreebsdHost, name: string, signal?: AbortSignal): Promise<FoundJail | undefined> {
  const record = await jls(host, name, identity, signal)
  const found = record && foundJail(record)
  return found && !found.dying ? found : undefined
}

/** All jails that are up, of whoever's making. */
export async function runningJails(host: FreebsdHost): Promise<FoundJail[]> {
  const { stdout } = await host.run('jls', ['--libxo', 'json', ...identity])
  return recordsIn(stdout)
    .map(foundJail)
    .filter(({ dying }) => !dying)
}

/** Every parameter that the kernel has of a jail. */
export async function allParameters(host: FreebsdHost, jid: number, signal?: AbortSignal): Promise<JailRecord | undefined> {
  return jls(host, `${jid}`, ['all'], signal)
}

/** The jails that were removed and that the kernel still keeps, because something refers to them (jls(8), -d). */
export async function dyingJails(host: FreebsdHost, signal?: AbortSignal): Promise<FoundJail[]> {
  const { stdout } = await host.run('jls', ['-d', '--libxo', 'json', ...identity], signal ? { signal } : {})
  return recordsIn(stdout)
    .map(foundJail)
    .filter(({ dying }) => dying)
}

/** Whether a jail is up or dying, by its number: the name may already be another jail's. */
export async function isKept(host: FreebsdHost, jid: number, signal?: AbortSignal): Promise<boolean> {
  const { exitCode, stderr } = await host.run('jls', ['-d', '-j', `${jid}`, 'jid'], {
    okExitCodes: [1],
    ...(signal ? { signal } : {}),
  })
  if (exitCode === 0) return true
  if (isNotFound(stderr)) return false
  throw notAsked(stderr)
}

async function jls(
  host: FreebsdHost,
  which: string,
  parameters: string[],
  signal?: AbortSignal,
): Promise<JailRecord | undefined> {
  const { exitCode, stdout, stderr } = await host.run('jls', ['--libxo', 'json', '-j', which, ...parameters], {
    okExitCodes: [1],
    ...(signal ? { signal } : {}),
  })
  // The exit code first: for a jail that is not there the output is a whole document without any, jls(8).
  if (exitCode === 0) return recordsIn(stdout)[0]
  if (isNotFound(stderr)) return undefined
  throw notAsked(stderr)
}

function isNotFound(stderr: string): boolean {
  return /^jls: jail .* not found$/m.test(stderr) || /is dying$/m.test(stderr)
}

function notAsked(stderr: string): ProvostError {
  return new ProvostError('command_failed', `jls did not answer: ${stderr.trim()}`, { exitCode: 1, logTail: stderr })
}

/** With a list of parameters jls(8) gives every scalar as a string, and keys may be absent; which is not relied on. */
function recordsIn(json: string): JailRecord[] {
  const jails: unknown = parse(json)?.['jail-information']?.jail
  if (!Array.isArray(jails)) throw new ProvostError('command_failed', `jls gave no list of jails: ${json.slice(0, 200)}`)
  return jails.map((jail: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(jail).map(([key, value]) => [key, Array.isArray(value) ? value.map(String) : `${value}`])),
  )
}

function parse(json: string): { 'jail-information'?: { jail?: unknown } } | undefined {
  try {
    return JSON.parse(json)
  } catch (error) {
    // A tab in a host name comes out raw, which is no JSON: libxo(3).
    throw new ProvostError('command_failed', `What jls printed is not JSON: ${json.slice(0, 200)}`, { cause: error })
  }
}

function foundJail(record: JailRecord): FoundJail {
  const text = (key: string) => String(record[key] ?? '')
  return { jid: Number(text('jid')), name: text('name'), path: text('path'), dying: text('dying') === 'true' }
}
