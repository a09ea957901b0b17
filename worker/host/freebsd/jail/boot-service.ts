import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { chmod, mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import { undefinedIfAbsent } from '../../files/paths.ts'
import { replaceFile } from '../../files/replace-file.ts'
import type { RunCommand } from '../../programs/run-command.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { quote } from './jail-conf.ts'

/** The service of rc(8) that starts jails at boot, and stops them at shutdown. */
export const bootService = 'provost_jails'
export const bootScript = readFileSync(join(import.meta.dirname, 'boot-jails.sh'), 'utf8')

/** Returns where rc(8) looks for scripts that are not the base system's: rc.conf(5), local_startup. */
export function bootScriptPath(etc: string): string {
  return join(etc, '../usr/local/etc/rc.d', bootService)
}

/**
 * Lets the jails of this host start at boot without a worker, by a service of our own: nothing of what the host's operators have in
 * jail.conf(5), rctl.conf(5) and rc.conf(5) for their jails has a say in ours, and nothing of theirs is switched on.
 */
export async function ensureBootService(host: FreebsdHost): Promise<void> {
  const path = bootScriptPath(host.etc)
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await replaceFile(path, bootScript)
  await chmod(path, 0o555)
  const settings = await readSettings(host.run)
  if (!isBootDirectory(settings, host.layout.boot)) await host.run('sysrc', [`${bootService}_boot+=${host.layout.boot}`])
  if (!isEnabled(settings)) await host.run('sysrc', [`${bootService}_enable=YES`])
  await removeFormerParts(host)
}

/** Returns what is amiss in what `ensureBootService` made. */
export async function bootFaults(run: RunCommand, etc: string, boot: string): Promise<string[]> {
  const settings = await readSettings(run)
  const path = bootScriptPath(etc)
  const text = await readFile(path, 'utf8').catch(undefinedIfAbsent)
  return [
    ...(text === bootScript ? [] : [`${path} is ${text === undefined ? 'not there' : 'not as the worker wrote it'}`]),
    ...(isEnabled(settings) ? [] : [`rc.conf(5) does not enable ${bootService}`]),
    ...(isBootDirectory(settings, boot) ? [] : [`${bootService}_boot lacks ${boot}`]),
  ]
}

/** sysrc(8) -i prints nothing for a variable that is not set, and exits 1 all the same (seen on 15.1). */
async function readSettings(run: RunCommand): Promise<Map<string, string>> {
  const args = ['-i', `${bootService}_enable`, `${bootService}_boot`]
  const { exitCode, stdout, stderr } = await run('sysrc', args, { okExitCodes: [1] })
  if (exitCode !== 0 && stderr.trim() !== '')
    throw new ProvostError('command_failed', `sysrc: ${stderr.trim()}`, {
      command: `sysrc ${args.join(' ')}`,
      exitCode,
      logTail: stderr,
    })
  return new Map(stdout.split('\n').map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1).trim()]))
}

/** In any form of rc.conf(5). */
function isEnabled(settings: Map<string, string>): boolean {
  return /^(YES|TRUE|ON|1)$/i.test(settings.get(`${bootService}_enable`) ?? '')
}

function isBootDirectory(settings: Map<string, string>, boot: string): boolean {
  return (settings.get(`${bootService}_boot`) ?? '').split(/\s+/).includes(boot)
}

/** Removes what workers put into the host's files before there was a service: rc.d/jail and rc.d/rctl started jails by it. */
async function removeFormerParts({ etc, layout }: FreebsdHost): Promise<void> {
  const include = ['# The jails that Provost brings back at boot.', `.include ${quote(join(layout.boot, '*.conf'))};`]
  await removeLines(join(etc, 'jail.conf'), (lines) => lines.filter((line) => !include.includes(line.trim())))
  await removeLines(join(etc, 'rctl.conf'), (lines) => {
    const [start, end] = ['BEGIN', 'END'].map((word) => lines.indexOf(`# ${word} provost ${layout.tag}`)) as [number, number]
    return start === -1 || end < start ? lines : [...lines.slice(0, start), ...lines.slice(end + 1)]
  })
}

/** Changes a file only where there is something to remove; one that is empty then, and no link, was made by us. */
async function removeLines(path: string, keep: (lines: string[]) => string[]): Promise<void> {
  if (!existsSync(path)) return
  const lines = (await readFile(path, 'utf8')).split('\n')
  const kept = keep(lines)
  if (kept.length === lines.length) return
  const text = kept.join('\n')
  if (text.trim() === '' && lstatSync(path).isFile()) await rm(path)
  else await replaceFile(path, text)
}
