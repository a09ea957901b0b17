import { spawnSync } from 'node:child_process'
import { findProgram } from '../../../worker/host/programs/run-command.ts'

const commandPath = '/sbin:/bin:/usr/sbin:/usr/bin'
const programs = {
  linux: ['runc', 'ip', 'mount', 'umount', 'unshare', 'nsenter', 'flock', 'catatonit', 'busybox', 'debootstrap'],
  freebsd: ['jail', 'jexec', 'jls', 'ifconfig', 'mount'],
}

/** Why this machine cannot make real jails, or undefined when it can. For `describe.skipIf(…)` around tests that do. */
export function whyNoHostTests(): string | undefined {
  const wanted = programs[process.platform as keyof typeof programs]
  if (!wanted) return `needs Linux or FreeBSD, and this is ${process.platform}.`
  if (process.getuid?.() !== 0) return 'needs root; run script/test as root.'
  const missing = wanted.filter((program) => !findProgram(program, commandPath))
  if (missing.length > 0) return `needs what is missing here: ${missing.join(', ')}; script/bootstrap says how to get it.`
  return undefined
}

/** The same for tests about FreeBSD, where no jail starts without limits. */
export function whyNoFreebsdJails(): string | undefined {
  if (process.platform !== 'freebsd') return 'they are about FreeBSD.'
  const { stdout } = spawnSync('/sbin/sysctl', ['-n', 'kern.racct.enable'], { encoding: 'utf8' })
  return whyNoHostTests() ?? (stdout.trim() === '1' ? undefined : 'needs kern.racct.enable=1 in /boot/loader.conf, and a reboot.')
}

/** The same for tests about Linux. */
export function whyNoLinuxJails(): string | undefined {
  return process.platform === 'linux' ? whyNoHostTests() : 'they are about Linux.'
}
