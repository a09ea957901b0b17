import { ProvostError } from '#shared/errors.ts'
import { fault, fine, note, type Result } from '../../checks/check-result.ts'
import type { RunCommand } from '../../programs/run-command.ts'

/** A FreeBSD version as freebsd-version(1) prints it: `14.4-RELEASE-p10`. */
type FreebsdVersion = { major: number; minor: number; branch: string; patch: number }

/** Escapes from jails, with the patch level of each supported release that fixes them, by FreeBSD's security advisories. */
const advisories: { name: string; what: string; fixedIn: Record<string, number> }[] = [
  {
    name: 'FreeBSD-SA-26:66.jail',
    what: 'a jail may leave its root',
    fixedIn: { '15.1': 4, '15.0': 14, '14.5': 1, '14.4': 10 },
  },
  {
    name: 'FreeBSD-SA-26:69.udp',
    what: 'a jail may reach the loopback of others over IPv6',
    fixedIn: { '15.1': 4, '15.0': 14, '14.5': 1, '14.4': 10 },
  },
  { name: 'FreeBSD-SA-26:38.jail', what: 'any user may crash the kernel or more', fixedIn: { '15.1': 1, '15.0': 11 } },
]
const supported = ['14.4', '14.5', '15.0', '15.1']

export function parseFreebsdVersion(text: string): FreebsdVersion | undefined {
  const match = /^(\d+)\.(\d+)-([A-Z]+\d*)(?:-p(\d+))?/.exec(text.trim())
  if (!match) return undefined
  const [, major, minor, branch = '', patch = '0'] = match
  return { major: Number(major), minor: Number(minor), branch, patch: Number(patch) }
}

/** Returns a negative number when `a` is an older release than `b`; patch levels and branches do not count. */
export function compareReleases(a: Pick<FreebsdVersion, 'major' | 'minor'>, b: Pick<FreebsdVersion, 'major' | 'minor'>): number {
  return a.major - b.major || a.minor - b.minor
}

/** Returns the version of the running kernel; of the installed one where freebsd-version(1) does not know -r. */
export async function runningKernel(run: RunCommand, signal?: AbortSignal): Promise<string> {
  const running = await run('freebsd-version', ['-r'], { signal }).catch((error) => {
    if (error instanceof ProvostError && error.code === 'command_failed') return run('freebsd-version', ['-k'], { signal })
    throw error
  })
  return running.stdout.trim()
}

/** Checks the kernel's release and patch level against the advisories on escapes from jails. */
export async function checkRelease(run: RunCommand): Promise<Result> {
  const installed = await installedKernel(run)
  const running = await runningKernel(run)
  if (installed === '') return judgeUnknown(judgeRelease(running))
  if (running !== installed)
    return fault(`${running} is running, and ${installed} is installed.`, 'Reboot: what the newer kernel mends is not in force.')
  return judgeRelease(installed)
}

/** It reads the version out of the kernel's file, and prints nothing or fails where it finds none: freebsd-version(1). */
async function installedKernel(run: RunCommand): Promise<string> {
  const { exitCode, stdout } = await run('freebsd-version', ['-k'], { okExitCodes: [1] })
  return exitCode === 0 ? stdout.trim() : ''
}

function judgeUnknown(ofRunning: Result): Result {
  if (!ofRunning.ok) return ofRunning
  return note(
    `${ofRunning.detail} Whether a newer kernel waits for a reboot is not known: freebsd-version -k names none.`,
    'See whether /boot/kernel/kernel is the kernel that loader(8) boots.',
  )
}

/** `kernel` is what `freebsd-version` prints of it. */
export function judgeRelease(kernel: string): Result {
  const version = parseFreebsdVersion(kernel)
  if (!version) return fault(`freebsd-version says that the kernel is ${JSON.stringify(kernel)}.`, 'See whether this is FreeBSD.')
  const release = `${version.major}.${version.minor}`
  if (version.branch !== 'RELEASE')
    return note(
      `${kernel} is no release, and advisories name only releases.`,
      'Compare its date with the advisories of FreeBSD that name jail.',
    )
  if (!supported.includes(release)) return outsideTable(kernel, version)

  const open = advisories.filter(({ fixedIn }) => (fixedIn[release] ?? 0) > version.patch)
  if (open.length === 0) return fine(`${kernel} has what is known to keep jails in.`)
  const needed = Math.max(...open.map(({ fixedIn }) => fixedIn[release] ?? 0))
  return fault(
    `${kernel} lacks ${open.map(({ name, what }) => `${name} (${what})`).join(', ')}.`,
    `Bring it to ${release}-RELEASE-p${needed} or later with freebsd-update fetch install (or pkg upgrade), and reboot.`,
  )
}

function outsideTable(kernel: string, version: FreebsdVersion): Result {
  const newest = supported.map((name) => parseFreebsdVersion(`${name}-RELEASE`)).filter((known) => known !== undefined)
  const known = newest.filter(({ major }) => major === version.major)
  const isNewer = (known.length > 0 ? known : newest).every((other) => compareReleases(version, other) > 0)
  if (isNewer)
    return note(`${kernel} is newer than the advisories that this Provost knows.`, 'Upgrade Provost, or read the advisories.')
  return fault(`${kernel} is no longer supported by FreeBSD.`, `Upgrade to one of ${supported.join(', ')}.`)
}
