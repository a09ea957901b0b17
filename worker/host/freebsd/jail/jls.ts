import { ProvostError } from '#shared/errors.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

/** A jail as jls(8) prints it: its parameters by their names. */
export type JailRecord = Record<string, string | string[] | undefined>

/** The identity of a jail that the kernel has, whoever made it. */
export type KernelJail = { jid: number; name: string; path: string; dying: boolean }

const identity = ['jid', 'name', 'path', 'dying']

/** Returns the jail of a name that is up; undefined when there is none. */
export async function findByName(host: FreebsdHost, name: string, signal?: AbortSignal): Promise<KernelJail | undefined> {
  const record = await jls(host, name, identity, signal)
  const jail = record && toJail(record)
  return jail && !jail.dying ? jail : undefined
}

/** Returns all jails that are up, whoever made them. */
export async function runningJails(host: FreebsdHost): Promise<KernelJail[]> {
  const { stdout } = await host.run('jls', ['--libxo', 'json', ...identity])
  return recordsIn(stdout)
    .map(toJail)
    .filter(({ dying }) => !dying)
}

/** Returns every parameter that the kernel has of a jail; undefined when it has no such jail. */
export async function allParameters(host: FreebsdHost, jid: number, signal?: AbortSignal): Promise<JailRecord | undefined> {
  return jls(host, `${jid}`, ['all'], signal)
}

/**
 * Returns the jail of a name that was removed and that the kernel still keeps, because something refers to it (jls(8), -d); undefined when
 * there is none, or when a jail of that name is up. Of several the kernel shows one, and the next when that is gone.
 */
export async function findDying(host: FreebsdHost, name: string, signal?: AbortSignal): Promise<KernelJail | undefined> {
  const record = await jls(host, name, identity, signal, ['-d'])
  const jail = record && toJail(record)
  return jail?.dying ? jail : undefined
}

/** Whether a jail is up or dying, by its jid: another jail may already have the name. */
export async function isKept(host: FreebsdHost, jid: number, signal?: AbortSignal): Promise<boolean> {
  const { exitCode, stderr } = await host.run('jls', ['-d', '-j', `${jid}`, 'jid'], { okExitCodes: [1], signal })
  if (exitCode === 0) return true
  if (isNotFound(stderr)) return false
  throw notAsked(stderr)
}

async function jls(
  host: FreebsdHost,
  which: string,
  parameters: string[],
  signal?: AbortSignal,
  flags: string[] = [],
): Promise<JailRecord | undefined> {
  const args = [...flags, '--libxo', 'json', '-j', which, ...parameters]
  const { exitCode, stdout, stderr } = await host.run('jls', args, { okExitCodes: [1], signal })
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

/** With a list of parameters jls(8) prints every scalar as a string, and keys may be absent; this relies on neither. */
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
    // libxo(3) prints a tab in a host name as it is, which is not JSON.
    throw new ProvostError('command_failed', `What jls printed is not JSON: ${json.slice(0, 200)}`, { cause: error })
  }
}

function toJail(record: JailRecord): KernelJail {
  const text = (key: string) => String(record[key] ?? '')
  return { jid: Number(text('jid')), name: text('name'), path: text('path'), dying: text('dying') === 'true' }
}
