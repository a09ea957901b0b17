import { existsSync, lstatSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { namesOf } from '../../names/names.ts'
import { resolverOf } from '../../names/resolver.ts'
import { writeNames } from '../../names/write-names.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { ensureCpus } from '../limits/cpus.ts'
import { ensureLimits, hasLimits } from '../limits/limits.ts'
import { worldTree } from '../worlds.ts'
import { enableAtBoot, ensureLimitsAtBoot, isEnabledAtBoot } from './boot.ts'
import { endJail } from './end-jail.ts'
import { explainStart } from './explain-start.ts'
import { jailConf } from './jail-conf.ts'
import { jailParameters } from './jail-parameters.ts'
import { findByName, type KernelJail, runningJails } from './jls.ts'

/** A little more than exec.timeout, after which jail(8) itself undoes what it has done. */
const startMs = 590_000

/** Starts the jail, with `/bin/sh /etc/rc` where that is its command. Returns its jid. */
export async function ensureJail(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<number> {
  const running = await findByName(host, jail.name, signal)
  requireOurs(host, jail, running)
  if (running && isEnabledAtBoot(host, jail.name)) {
    if (!(await hasLimits(host, jail, signal))) await ensureLimits(host, jail, signal)
    if (await isConfCurrent(host, jail)) await ensureLimitsAtBoot(host, jail)
    else {
      // An earlier release's, or an edited one: the end of the jail and the next boot are to be as for one that starts now.
      await writeConf(host, jail, signal)
      await enableAtBoot(host, jail)
    }
    await ensureCpus(host, jail, running.jid, signal)
    return running.jid
  }
  // Ends what a start that was cut short left: the file for the boot is made last, so without it nothing is known to be whole.
  if (running || existsSync(host.layout.jail(jail.name).conf)) await endJail(host, jail, signal)
  if (!isDirectory(host.layout.jail(jail.name).root))
    throw new ProvostError('not_built', `The root of ${jail.name} is not there.`)

  await ensureNames(host, jail)
  await writeConf(host, jail, signal)
  await ensureLimits(host, jail, signal)
  await create(host, jail, signal)
  // `NAME: created` and exit 0 are no proof: a jail without a process may be gone again, jail(8).
  const started = await findByName(host, jail.name, signal)
  if (!started) throw new ProvostError('command_failed', `Jail ${jail.name} was created and is gone again.`)
  requireOurs(host, jail, started)
  await ensureCpus(host, jail, started.jid, signal)
  await enableAtBoot(host, jail)
  return started.jid
}

/** Returns the jail if it runs, from our root. */
export async function findJail(host: FreebsdHost, jail: JailSpec): Promise<{ jid: number } | undefined> {
  const running = await findByName(host, jail.name)
  return running && isOurs(host, running) ? { jid: running.jid } : undefined
}

/** Returns the jails that run from our roots, by name. */
export async function listJails(host: FreebsdHost): Promise<Map<string, { jid: number }>> {
  const ours = (await runningJails(host)).filter((jail) => isOurs(host, jail))
  return new Map(ours.map(({ name, jid }) => [name, { jid }]))
}

async function ensureNames(host: FreebsdHost, jail: JailSpec): Promise<void> {
  const { directory, root, names: record } = host.layout.jail(jail.name)
  const world = worldTree(host, { name: jail.world, digest: jail.worldDigest })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeNames({ root, world, record }, namesOf(jail, await resolverOf(host.config)))
}

async function isConfCurrent(host: FreebsdHost, jail: JailSpec): Promise<boolean> {
  const text = await readFile(host.layout.jail(jail.name).conf, 'utf8')
  return text === jailConf(jail.name, jailParameters(host, jail))
}

/**
 * Writes the jail's file aside and puts it in place once jail(8) has read it as one that defines this jail. An exit code of 0
 * proves nothing (jail(8), -e): an undefined variable is only on standard error, and a byte that ends the file early is nowhere.
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

/** Outputs go to files, so that this ends with jail(8) and not with the daemons that keep them open. */
async function create(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { conf, console: log } = host.layout.jail(jail.name)
  const before = statSync(log, { throwIfNoEntry: false })?.size ?? 0
  try {
    await host.run('jail', ['-c', '-f', conf, jail.name], { signal, timeoutMs: startMs })
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code !== 'command_failed') throw error
    throw await explainStart(error, jail, log, before)
  }
}

function isOurs({ layout }: FreebsdHost, { name, path }: KernelJail): boolean {
  return path === layout.jail(name).root
}

function requireOurs(host: FreebsdHost, { name }: JailSpec, running: KernelJail | undefined): void {
  if (!running || isOurs(host, running)) return
  throw new ProvostError('name_taken', `A jail ${name} that is not ours runs on this host, in ${running.path}.`, {
    hint: 'Stop that jail, or give this one another name.',
  })
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
