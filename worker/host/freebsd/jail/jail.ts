import { existsSync, lstatSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { errnoOf, ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { ensureCpus } from '../limits/cpus.ts'
import { ensureLimits, holdsLimits } from '../limits/limits.ts'
import { comeBackAtBoot, comesBackAtBoot, ensureLimitsAtBoot } from './boot.ts'
import { endJail } from './end-jail.ts'
import { jailConf } from './jail-conf.ts'
import { jailParameters, rcCommand } from './jail-parameters.ts'
import { findByName, runningJails } from './jls.ts'

/** A little more than exec.timeout, after which jail(8) itself takes back what it has done. */
const startMs = 590_000
const tailBytes = 4_096

/** Starts the jail, with `/bin/sh /etc/rc` where that is its command. Gives its jid. */
export async function ensureJail(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<number> {
  const found = await findByName(host, jail.name, signal)
  requireOurs(host, jail, found)
  if (found && comesBackAtBoot(host, jail.name)) {
    if (!(await holdsLimits(host, jail, signal))) await ensureLimits(host, jail, signal)
    await ensureLimitsAtBoot(host, jail)
    await ensureCpus(host, jail, found.jid, signal)
    return found.jid
  }
  // What a start that was cut short left: the file at boot comes last, so without it nothing is known to be whole.
  if (found || existsSync(host.layout.jail(jail.name).conf)) await endJail(host, jail, signal)
  if (!isDirectory(host.layout.jail(jail.name).root))
    throw new ProvostError('not_built', `The root of ${jail.name} is not there.`)

  await writeConf(host, jail, signal)
  await ensureLimits(host, jail, signal)
  await create(host, jail, signal)
  // `NAME: created` and exit 0 are no proof: a jail without a process may be gone again, jail(8).
  const started = await findByName(host, jail.name, signal)
  if (!started) throw new ProvostError('command_failed', `Jail ${jail.name} was created and is gone again.`)
  requireOurs(host, jail, started)
  await ensureCpus(host, jail, started.jid, signal)
  await comeBackAtBoot(host, jail)
  return started.jid
}

/** Whether the jail runs, from our root. */
export async function findJail(host: FreebsdHost, jail: JailSpec): Promise<{ jid: number } | undefined> {
  const found = await findByName(host, jail.name)
  return found && isOurs(host, found) ? { jid: found.jid } : undefined
}

/** The jails that run from our roots, by name. */
export async function listJails(host: FreebsdHost): Promise<Map<string, { jid: number }>> {
  const ours = (await runningJails(host)).filter((found) => isOurs(host, found))
  return new Map(ours.map(({ name, jid }) => [name, { jid }]))
}

/**
 * Writes the jail's file aside and puts it in place once jail(8) has read it as one that defines this jail. That it exits 0
 * proves nothing (jail(8), -e): an undefined variable is only on standard error, a byte that ends the file early is nowhere.
 */
async function writeConf(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { directory, conf } = host.layout.jail(jail.name)
  const aside = `${conf}.unchecked`
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await rm(aside, { force: true })
  await writeFile(aside, jailConf(jail.name, jailParameters(host, jail)), { flag: 'wx', mode: 0o600 })
  const { stdout, stderr } = await host.run('jail', ['-f', aside, '-e', '|'], { signal })
  const isDefined = stdout.split('\n').some((line) => line.startsWith(`name=${jail.name}|`))
  if (stderr !== '' || !isDefined)
    throw new ProvostError('unexpected', `jail(8) does not read ${aside} as the jail ${jail.name}: ${stderr || stdout}`)
  await rename(aside, conf)
}

/** Outputs go to files, so that this ends with jail(8) and not with the daemons that hold them. */
async function create(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { conf, console: log } = host.layout.jail(jail.name)
  const before = statSync(log, { throwIfNoEntry: false })?.size ?? 0
  try {
    await host.run('jail', ['-c', '-f', conf, jail.name], { signal, timeoutMs: startMs })
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code !== 'command_failed') throw error
    throw await explain(error, jail, log, before)
  }
}

/** jail(8) says that a command failed, not why and not with which exit code; what it printed is on the jail's console. */
async function explain(error: ProvostError, jail: JailSpec, log: string, before: number): Promise<ProvostError> {
  const said = error.facts.logTail ?? ''
  if (!said.includes(`jail: ${jail.name}: ${rcCommand}: `)) return error
  const how = said.slice(said.indexOf(`${rcCommand}: `) + rcCommand.length + 2).split('\n')[0]
  const logTail = await readFrom(log, before)
  const lastLine = logTail.trim().split('\n').at(-1)
  return new ProvostError('command_failed', `${rcCommand} ${how}${lastLine ? `: ${lastLine}` : '.'}`, {
    ...error.facts,
    command: rcCommand,
    logTail: logTail || said,
  })
}

type Found = { jid: number; name: string; path: string }

function isOurs({ layout }: FreebsdHost, { name, path }: Found): boolean {
  return path === layout.jail(name).root
}

function requireOurs(host: FreebsdHost, { name }: JailSpec, found: Found | undefined): void {
  if (!found || isOurs(host, found)) return
  throw new ProvostError('name_taken', `A jail ${name} that is not ours runs on this host, in ${found.path}.`, {
    hint: 'Stop that jail, or give this one another name.',
  })
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

async function readFrom(path: string, start: number): Promise<string> {
  const text = await readFile(path).catch((error) => {
    if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0)
    throw error
  })
  return text.subarray(Math.max(start, text.length - tailBytes)).toString('utf8')
}
