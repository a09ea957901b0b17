import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import { compareReleases, parseFreebsdVersion, runningKernel } from '../../host/freebsd/checks/advisories.ts'
import type { RunCommand } from '../../host/programs/run-command.ts'

/** By Node's name of an architecture: MACHINE and MACHINE_ARCH, as FreeBSD's own downloads name them. */
const architectures: Record<string, { machine: string; arch: string }> = {
  x64: { machine: 'amd64', arch: 'amd64' },
  arm64: { machine: 'arm64', arch: 'aarch64' },
  riscv64: { machine: 'riscv', arch: 'riscv64' },
  ppc64: { machine: 'powerpc', arch: 'powerpc64' },
}

/** @throws ProvostError `world_source_missing` for an architecture that has no releases of FreeBSD, or is not known here. */
export function architectureOf(platform: string): { machine: string; arch: string } {
  const architecture = architectures[platform.split('/')[1] ?? '']
  if (architecture) return architecture
  throw new ProvostError('world_source_missing', `There is no release of FreeBSD known for ${platform}.`)
}

/**
 * A jail's programs may be older than the host's kernel, never newer (handbook, jails).
 * @throws ProvostError `world_too_new`
 */
export async function refuseNewer(release: string, what: string, run: RunCommand, signal: AbortSignal): Promise<void> {
  const kernel = await runningKernel(run, signal)
  const [world, host] = [parseFreebsdVersion(`${release.split('-')[0]}-RELEASE`), parseFreebsdVersion(kernel)]
  if (!host) throw new ProvostError('unexpected', `freebsd-version says ${JSON.stringify(kernel)}.`)
  if (world && compareReleases(world, host) > 0)
    throw new ProvostError('world_too_new', `${what} is FreeBSD ${release}, and the kernel of this host ${kernel}.`)
}

/** Returns the release of a filled tree, from its own freebsd-version(1), which is a script. Follows no link. */
export async function releaseOfTree(directory: string): Promise<string | undefined> {
  const path = join(directory, 'bin/freebsd-version')
  for (const each of [join(directory, 'bin'), path])
    if (!(await lstat(each).catch(() => undefined))?.[each === path ? 'isFile' : 'isDirectory']()) return undefined
  return /^USERLAND_VERSION="([^"\n]+)"/m.exec(await readFile(path, 'utf8'))?.[1]
}

/** Returns the release that a source tree makes, from its newvers.sh. */
export async function releaseOfSource(source: string): Promise<string | undefined> {
  const text = await readFile(join(source, 'sys/conf/newvers.sh'), 'utf8').catch(() => '')
  const revision = /^REVISION="(\d+\.\d+)"/m.exec(text)?.[1]
  return revision && `${revision}-${/^BRANCH="([^"\n]+)"/m.exec(text)?.[1] ?? 'RELEASE'}`
}
