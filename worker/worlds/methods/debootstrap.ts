import { mkdir, open, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dropCredentials } from '#shared/credentials.ts'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { DebootstrapWorld } from '../../config/world.ts'
import { followFile } from '../../host/programs/follow-file.ts'
import type { CommandOptions, RunCommand } from '../../host/programs/run-command.ts'
import { freeBytes } from '../files/free-bytes.ts'
import { isDirectory, putFile } from '../files/world-files.ts'
import type { WorldMethod } from '../world-method.ts'
import { mirrorOf, wgetSettings } from './apt-settings.ts'
import { debootstrapProgress, type Fault } from './debootstrap-progress.ts'

const timeoutMs = 3_600_000
/** wget's own defaults are 900 seconds of silence, twenty times. The world store tries the whole fill again. */
const patience = ['timeout = 30', 'tries = 3']
/** No package of a base system is larger: a download that fails with less left has filled the disk, and freed it again. */
const roomForPackageBytes = 64 * 1024 ** 2
/** debootstrap's names for a download that did not work. */
const downloadFaults = /^(NOGETREL|NOGETRELSIG|COULDNTDL|COULDNTDLPKGS)$/

/** Runs debootstrap(8), with the form of progress that Debian's installer reads. */
export const debootstrap: WorldMethod<DebootstrapWorld> = async ({ world, directory, platform, run, signal, progress }) => {
  const mirror = world.mirror ?? (await mirrorOf(world.suite))
  // In the directory for debootstrap's own files, which it removes at its end.
  const wgetrc = join(directory, 'debootstrap/wgetrc')
  await mkdir(join(directory, 'debootstrap'))
  await writeFile(wgetrc, `${[...patience, ...(await wgetSettings(run, signal))].join('\n')}\n`)
  const options = { signal, env: { WGETRC: wgetrc } }

  const { suite, variant, include } = world
  const args = ['--debian-installer', `--variant=${variant}`, ...(include.length > 0 ? [`--include=${include.join()}`] : [])]
  const command = ['debootstrap', ...args, suite, directory, ...(mirror ? [mirror] : [])]
  // Its mounts are gone with its own mount namespace, even when it is killed.
  const [program = '', ...rest] = platform.startsWith('linux/') ? ['unshare', '--mount', '--', ...command] : command

  const reading = debootstrapProgress(progress)
  try {
    await runReading(run, program, rest, { ...options, timeoutMs }, join(directory, 'debootstrap/progress'), reading.read)
  } catch (error) {
    signal.throwIfAborted()
    throw await explain(toProvostError(error), reading.fault(), { world, mirror, directory, run, options })
  }
  await dropPasswords(directory)
  await emptyDirectory(join(directory, 'var/cache/apt/archives'))
  await emptyDirectory(join(directory, 'var/lib/apt/lists'))
}

/** What debootstrap notes of the mirror in the world is read by everybody's jails. No program has run there but those of its packages. */
async function dropPasswords(directory: string): Promise<void> {
  const files = [
    ['etc', 'apt', 'sources.list'],
    ['var', 'log', 'bootstrap.log'],
  ]
  for (const parts of files) {
    const directories = parts.slice(0, -1).map((_, i) => join(directory, ...parts.slice(0, i + 1)))
    if (!(await Promise.all(directories.map(isDirectory))).every(Boolean)) continue
    const file = join(directory, ...parts)
    const text = await readFile(file, 'utf8').catch(() => '')
    if (dropCredentials(text) !== text) await putFile(file, dropCredentials(text))
  }
}

/** Runs a command with a new file as its descriptor 3, and reads what it writes there as it comes. */
async function runReading(
  run: RunCommand,
  program: string,
  args: string[],
  options: CommandOptions,
  path: string,
  read: (text: string) => void,
): Promise<void> {
  const file = await open(path, 'wx+')
  await unlink(path)
  const following = followFile(file, read)
  try {
    await run(program, args, { ...options, descriptor: file.fd })
  } finally {
    await following.end()
    await file.close()
  }
}

type Circumstances = {
  world: DebootstrapWorld
  mirror: string | undefined
  directory: string
  run: RunCommand
  options: CommandOptions
}

/** Returns the error that a failure means: debootstrap exits with 1 whatever happened, also for a full disk or a dead mirror. */
async function explain(error: ProvostError, fault: Fault | undefined, about: Circumstances): Promise<ProvostError> {
  if (error.code !== 'command_failed') return error
  const { suite } = about.world
  const message = fault ? `debootstrap: ${fault.message}` : error.message
  if (fault?.name === 'NOSCRIPT')
    return new ProvostError('world_source_missing', `debootstrap does not know the suite ${suite}.`, error.facts)
  if (!fault || !downloadFaults.test(fault.name)) return new ProvostError('command_failed', message, error.facts)
  if ((await freeBytes(about.directory)) < roomForPackageBytes)
    return new ProvostError('disk_full', `The disk of the host is full: ${message}`, error.facts)
  if (fault.name === 'NOGETREL' && (await hasNoSuite(about)))
    return new ProvostError('world_source_missing', `The mirror ${about.mirror} has no suite ${suite}.`, error.facts)
  return new ProvostError('mirror_unavailable', message, error.facts)
}

/** Whether the mirror answers that it does not have the suite. */
async function hasNoSuite({ world, mirror, run, options }: Circumstances): Promise<boolean> {
  if (!mirror) return false
  const url = `${mirror.replace(/\/+$/, '')}/dists/${world.suite}/Release`
  const args = ['--spider', '--server-response', '--tries=1', '--timeout=10', url]
  const answer = await run('wget', args, { ...options, okExitCodes: [4, 8] }).catch(() => undefined)
  options.signal?.throwIfAborted()
  return /^\s*HTTP\/\S+ (403|404|410)\b/m.test(answer?.stderr ?? '')
}

async function emptyDirectory(path: string): Promise<void> {
  for (const name of await readdir(path).catch(() => [])) await rm(join(path, name), { recursive: true, force: true })
}
