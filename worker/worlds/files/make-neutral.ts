import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureDirectory, etcOf, exists, isDirectory, putFile } from './world-files.ts'

/** The host's resolver, and the one behind systemd-resolved's stub on 127.0.0.53, which a jail cannot reach. */
const resolverFiles = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']

/**
 * Makes a Linux world fit for any jail: a resolv.conf of its own, no name or id of the host that it was made on, and real
 * directories where a jail mounts its file systems. Follows no link inside the tree. @throws ProvostError `world_invalid`
 */
export async function makeNeutral(directory: string, world: string): Promise<void> {
  const etc = await etcOf(directory, world)
  // debootstrap in a Docker container leaves /proc as a link to itself.
  for (const name of ['proc', 'sys', 'dev']) await ensureDirectory(join(directory, name))

  await putFile(join(etc, 'resolv.conf'), await hostResolver())
  if (await exists(join(etc, 'hostname'))) await putFile(join(etc, 'hostname'), 'localhost\n')
  // machine-id(5): an empty file is filled at the first boot.
  if (await exists(join(etc, 'machine-id'))) await putFile(join(etc, 'machine-id'), '')
  const dbus = ['var', 'var/lib', 'var/lib/dbus'].map((name) => join(directory, name))
  if ((await Promise.all(dbus.map(isDirectory))).every(Boolean))
    await rm(join(directory, 'var/lib/dbus/machine-id'), { force: true })
}

/** Returns the host's `resolv.conf`; empty when it has none. */
async function hostResolver(): Promise<string> {
  const texts = await Promise.all(resolverFiles.map((file) => readFile(file, 'utf8').catch(() => '')))
  return texts.find((text) => /^\s*nameserver\s+(?!127\.|::1\b)/m.test(text)) ?? texts[0] ?? ''
}
