import { lstat, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { World } from '../../config/world.ts'
import { clearFlags, clearFlagsBelow } from '../../host/freebsd/root/file-flags.ts'
import type { RunCommand } from '../../host/programs/run-command.ts'
import type { FillContext } from '../world-method.ts'
import { systemOfTree } from './elf-system.ts'
import { refuseNewer, releaseOfTree } from './freebsd-version.ts'
import { ensureDirectory, etcOf, exists, isDirectory, putFile, putLink } from './world-files.ts'

/** rc.conf(5) of a world that has none: nothing in a jail listens that its client did not ask for. */
const rcConf = `# Written when this world was filled.
sendmail_enable="NONE"
syslogd_flags="-ss"
# cron(8): jobs of all jails do not start in the same second.
cron_flags="-J 60"
`

/**
 * Makes a FreeBSD world fit for any jail: no resolver, the host's time zone, an empty fstab (jail(8) mounts what is
 * needed), an rc.conf, and /dev to mount devfs on. Follows no link inside the tree.
 * @throws ProvostError `world_invalid`, `world_too_new`
 */
export async function makeNeutralFreebsd(
  { world, directory, run, signal }: Pick<FillContext<World>, 'world' | 'directory' | 'run' | 'signal'>,
  hostRoot = '/',
): Promise<void> {
  const etc = await etcOf(directory, world.name)
  await requireFreebsd(directory, world.name)
  await requirePasswords(etc, world.name)
  await makeWritable(directory, run, signal)
  await ensureDirectory(join(directory, 'dev'))
  const release = await releaseOfTree(directory)
  if (release) await refuseNewer(release, `World ${world.name}`, run, signal)

  // A jail gets its own when it is made.
  await putFile(join(etc, 'resolv.conf'), '')
  await copyLocaltime(join(hostRoot, 'etc/localtime'), join(etc, 'localtime'))
  await putFile(join(etc, 'fstab'), '')
  // A tree of somebody's own may have one: then it is part of that world.
  if (!(await exists(join(etc, 'rc.conf')))) await putFile(join(etc, 'rc.conf'), rcConf)

  // tzsetup(8) keeps the name of the zone there.
  const zone = await contentOf(join(hostRoot, 'var/db/zoneinfo'))
  const db = [join(directory, 'var'), join(directory, 'var/db')]
  if (zone && (await Promise.all(db.map(isDirectory))).every(Boolean)) await putFile(join(directory, 'var/db/zoneinfo'), zone)
}

/** Where linux64.ko is loaded a kernel would run them, in a jail without the rest of Linux: linux(4). */
async function requireFreebsd(directory: string, world: string): Promise<void> {
  if ((await systemOfTree(directory)) !== 'linux') return
  throw new ProvostError('world_invalid', `The programs of world ${world} are for Linux, and this host runs jails of FreeBSD.`, {
    hint: 'Give the world a source with a FreeBSD userland, or declare it on a host with runtime: linux.',
  })
}

/**
 * With exec.clean jail(8) looks up root in the jail before it runs /etc/rc there, in either of the two (seen on 15.1); the
 * texts that they are made of do not do.
 */
async function requirePasswords(etc: string, world: string): Promise<void> {
  const has = (names: string[]) => Promise.all(names.map((name) => exists(join(etc, name))))
  if (!(await has(['rc', 'rc.shutdown'])).includes(true) || (await has(['pwd.db', 'spwd.db'])).includes(true)) return
  throw new ProvostError('world_invalid', `World ${world} has /etc/rc and no password database, so jail(8) cannot run it.`, {
    hint: 'Make etc/pwd.db in its source: pwd_mkdb -p -d ETC ETC/master.passwd, with its directory etc for ETC.',
  })
}

/** Clears the flags of what is written here; all else in the world keeps those that it came with. */
async function makeWritable(directory: string, run: RunCommand, signal: AbortSignal): Promise<void> {
  const paths = ['.', 'dev', 'var', 'var/db', 'var/db/zoneinfo'].map((name) => join(directory, name))
  const there = await Promise.all(paths.map(exists))
  await clearFlags(
    run,
    paths.filter((_, i) => there[i]),
    signal,
  )
  await clearFlagsBelow(run, join(directory, 'etc'), signal)
}

/** Copies the link that newer releases have as a link (cp -P), since the world has the same zones; else copies the file. */
async function copyLocaltime(from: string, to: string): Promise<void> {
  const entry = await lstat(from).catch(() => undefined)
  if (entry?.isSymbolicLink()) return putLink(to, await readlink(from))
  const content = await readFile(from).catch(() => undefined)
  if (content) await putFile(to, content)
}

function contentOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
