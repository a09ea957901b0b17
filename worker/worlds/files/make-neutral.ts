import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureDirectory, etcOf, exists, isDirectory, putFile } from './world-files.ts'

/**
 * Makes a Linux world fit for any jail: no resolver, name or id of the host that it was made on, and real
 * directories where a jail mounts its file systems. Follows no link inside the tree. @throws ProvostError `world_invalid`
 */
export async function makeNeutral(directory: string, world: string): Promise<void> {
  const etc = await etcOf(directory, world)
  // debootstrap in a Docker container leaves /proc as a link to itself.
  for (const name of ['proc', 'sys', 'dev']) await ensureDirectory(join(directory, name))

  // A jail gets its own when it is made.
  await putFile(join(etc, 'resolv.conf'), '')
  if (await exists(join(etc, 'hostname'))) await putFile(join(etc, 'hostname'), 'localhost\n')
  // machine-id(5): an empty file is filled at the first boot.
  if (await exists(join(etc, 'machine-id'))) await putFile(join(etc, 'machine-id'), '')
  const dbus = ['var', 'var/lib', 'var/lib/dbus'].map((name) => join(directory, name))
  if ((await Promise.all(dbus.map(isDirectory))).every(Boolean))
    await rm(join(directory, 'var/lib/dbus/machine-id'), { force: true })
}
