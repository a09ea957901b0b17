import { chmod, lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { BusyboxWorld } from '../../config/world.ts'
import type { WorldMethod } from '../world-method.ts'

const directories = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'dev', 'etc', 'home', 'mnt', 'proc', 'run', 'sys', 'var/log']

// No /etc/rc: a jail of this world has no command to wait for.
const files = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/profile': 'export PATH=/bin:/sbin:/usr/bin:/usr/sbin\n',
  'etc/shells': '/bin/sh\n',
}

/** Copies the host's static busybox, with a link for each of its applets: a whole userland in two megabytes. */
export const busybox: WorldMethod<BusyboxWorld> = async ({ directory, run, signal, progress }) => {
  for (const name of directories) await mkdir(join(directory, name), { recursive: true, mode: 0o755 })
  await mkdir(join(directory, 'root'), { mode: 0o700 })
  for (const name of ['tmp', 'var/tmp']) {
    await mkdir(join(directory, name))
    await chmod(join(directory, name), 0o1777)
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content, { mode: 0o644 })

  // The very program that runs, wherever it is.
  await run('busybox', ['cp', '/proc/self/exe', join(directory, 'bin/busybox')], { signal })
  await chmod(join(directory, 'bin/busybox'), 0o755)
  await proveStatic()
  progress(0.5)

  const { stdout } = await run('busybox', ['--list-full'], { signal })
  for (const applet of stdout.split('\n').filter((path) => path.includes('/'))) await linkApplet(directory, applet)

  async function proveStatic(): Promise<void> {
    await run('chroot', [directory, '/bin/busybox', 'true'], { signal }).catch((error) => {
      signal.throwIfAborted()
      const { logTail = '' } = error instanceof ProvostError ? error.facts : {}
      if (/Permission denied/.test(logTail))
        throw new ProvostError('world_source_missing', `No program may run in ${directory}.`, {
          hint: 'See whether it is mounted with noexec: `provost doctor` says so. Mount it with exec, then retry.',
          cause: error,
        })
      throw new ProvostError('world_source_missing', 'The busybox of this host is not a static one.', {
        hint: 'Install the static busybox (on Debian: apt-get install busybox-static), then retry.',
        cause: error,
      })
    })
  }
}

async function linkApplet(directory: string, applet: string): Promise<void> {
  const path = join(directory, applet)
  if (await lstat(path).catch(() => undefined)) return
  await mkdir(dirname(path), { recursive: true })
  await symlink('/bin/busybox', path)
}
