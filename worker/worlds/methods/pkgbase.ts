import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { PkgbaseWorld } from '../../config/world.ts'
import { architectureOf, refuseNewer } from '../files/freebsd-version.ts'
import { isDirectory } from '../files/world-files.ts'
import type { WorldMethod } from '../world-method.ts'

const timeoutMs = 3_600_000
const repository = 'FreeBSD-base'
/** How much of the whole is done after each command: not measured, but fetching is most of it. */
const shares = { update: 0.02, fetch: 0.6, install: 1 }

/** Makes the base system from packages, freebsd-base(7): fetched, then installed, each with a count of its own. */
export const pkgbase: WorldMethod<PkgbaseWorld> = async ({ world, directory, platform, run, signal, progress }) => {
  await refuseNewer(world.release, `World ${world.name}`, run, signal)
  const repositories = join(directory, '.provost-pkg')
  // pkg reads keys below --rootdir, so they must be there before anything else is (bsdinstall does the same).
  await copyKeys(world, directory)
  await mkdir(repositories)
  await writeFile(join(repositories, `${repository}.conf`), repositoryConf(world))

  const [major] = world.release.split('.')
  const options = [`IGNORE_OSVERSION=yes`, `ABI=FreeBSD:${major}:${architectureOf(platform).arch}`, 'ASSUME_ALWAYS_YES=yes']
  // Not -o REPOS_DIR, which pkg looks for below --rootdir.
  const common = ['--rootdir', directory, '--repo-conf-dir', repositories, ...options.flatMap((option) => ['-o', option])]
  const pkg = async (what: string, args: string[], onOutput: (text: string) => void = () => undefined) => {
    await run('pkg', [...common, ...args], { signal, timeoutMs, onOutput }).catch((error) => {
      signal.throwIfAborted()
      throw explain(toProvostError(error), world, what)
    })
  }

  const packages = ['-r', repository, `FreeBSD-set-${world.set}`]
  await pkg('the list of packages', ['update', '-r', repository])
  progress(shares.update)
  await pkg('the packages', ['install', '-U', '-F', '-y', ...packages], countTo(shares.update, shares.fetch, progress))
  progress(shares.fetch)
  await pkg('the packages', ['install', '-U', '-y', ...packages], countTo(shares.fetch, shares.install, progress))
  progress(shares.install)

  await rm(repositories, { recursive: true, force: true })
  await emptyCache(directory)
}

/** Reads the lines `[ 12/207] Fetching …: … done`, `… Extracting …: 100%`, and `… Installing …` of a package that begins. */
function countTo(from: number, to: number, progress: (fraction: number) => void): (text: string) => void {
  return (text) => {
    for (const [, now, end, verb] of text.matchAll(/\[ *(\d+)\/(\d+)\] (\S+)/g)) {
      const done = Number(now) - (verb === 'Installing' ? 1 : 0)
      if (Number(end) > 0) progress(from + (to - from) * Math.min(1, done / Number(end)))
    }
  }
}

async function copyKeys({ name, keys }: PkgbaseWorld, directory: string): Promise<void> {
  if (!(await isDirectory(keys)))
    throw new ProvostError('world_source_missing', `The keys of packages are not in ${keys}, as world ${name} needs.`, {
      hint: 'Hosts from 15.0 on have them; on an older one, name a directory with them as keys.',
    })
  await cp(keys, join(directory, 'usr/share/keys'), { recursive: true, verbatimSymlinks: true })
}

/** pkg.conf(5); UCL reads JSON. The keys are those that copyKeys put below the new root. */
function repositoryConf({ release, branch, mirror }: PkgbaseWorld): string {
  const [major, minor] = release.split('.')
  const base = branch === 'latest' ? 'base_latest' : `base_release_${minor}`
  const from = (mirror ?? 'pkg+https://pkg.FreeBSD.org').replace(/\/+$/, '')
  const conf = {
    url: `${from}/\${ABI}/${base}`,
    mirror_type: mirror ? 'none' : 'srv',
    signature_type: 'fingerprints',
    fingerprints: branch === 'latest' ? '/usr/share/keys/pkg' : `/usr/share/keys/pkgbase-${major}`,
    enabled: true,
  }
  return `${JSON.stringify({ [repository]: conf }, null, 2)}\n`
}

const away =
  /No address record|Name does not resolve|name resolution|timed out|unreachable|No route to host|Connection (refused|reset)|Bad Gateway|Service Unavailable|Too Many Requests/i

/** Returns the error that a failure of pkg(8) means, by what it printed. */
function explain(error: ProvostError, { name, set, release }: PkgbaseWorld, what: string): ProvostError {
  if (error.code !== 'command_failed') return error
  const text = `${error.message}\n${error.facts.logTail ?? ''}`
  if (/No packages available to install matching/.test(text))
    return new ProvostError('world_source_missing', `FreeBSD ${release} has no package FreeBSD-set-${set}.`, error.facts)
  if (/Not Found/i.test(text))
    return new ProvostError('world_source_missing', `There is no repository of packages for world ${name}.`, error.facts)
  if (away.test(text)) return new ProvostError('mirror_unavailable', `pkg could not fetch ${what}: ${error.message}`, error.facts)
  if (/fingerprint|signature|trusted public key/i.test(text))
    return new ProvostError('command_failed', error.message, {
      ...error.facts,
      hint: 'The packages are not signed with a key in the directory that keys names. Correct it, or the mirror.',
    })
  return error
}

/** Removes what was fetched: a jail has no use for it. No program has run in the tree yet, but a package may have made a link. */
async function emptyCache(directory: string): Promise<void> {
  const parts = ['var', 'var/cache', 'var/cache/pkg'].map((part) => join(directory, part))
  for (const part of parts) if (!(await isDirectory(part))) return
  const cache = parts.at(-1) ?? ''
  for (const name of await readdir(cache)) await rm(join(cache, name), { recursive: true, force: true })
}
