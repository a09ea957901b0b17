import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'

/** The host's resolver, and the one behind systemd-resolved's stub on 127.0.0.53, which a jail cannot reach. */
const resolverFiles = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']

/**
 * Makes a Linux world fit for any jail: a resolv.conf of its own, no name or id of the machine it was made on, and real
 * directories where a jail mounts its file systems. Follows no link inside the tree.
 */
export async function makeNeutral(directory: string): Promise<void> {
  // debootstrap in a Docker container leaves /proc as a link to itself.
  for (const name of ['proc', 'sys', 'dev']) await ensureDirectory(join(directory, name))

  const etc = join(directory, 'etc')
  if (!(await isDirectory(etc))) throw new ProvostError('archive_invalid', 'The world has no directory /etc.')
  await putFile(join(etc, 'resolv.conf'), await hostResolver())
  if (await exists(join(etc, 'hostname'))) await putFile(join(etc, 'hostname'), 'localhost\n')
  // machine-id(5): an empty file is filled at the first boot.
  if (await exists(join(etc, 'machine-id'))) await putFile(join(etc, 'machine-id'), '')
  const dbus = ['var', 'var/lib', 'var/lib/dbus'].map((name) => join(directory, name))
  if ((await Promise.all(dbus.map(isDirectory))).every(Boolean))
    await rm(join(directory, 'var/lib/dbus/machine-id'), { force: true })
}

/** The host's `resolv.conf`; empty when it has none. */
async function hostResolver(): Promise<string> {
  const texts = await Promise.all(resolverFiles.map((file) => readFile(file, 'utf8').catch(() => '')))
  return texts.find((text) => /^\s*nameserver\s+(?!127\.|::1\b)/m.test(text)) ?? texts[0] ?? ''
}

async function ensureDirectory(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isDirectory()) return
  if (found && !found.isSymbolicLink())
    throw new ProvostError('archive_invalid', `The world has a file where the directory ${path} must be.`)
  await rm(path, { force: true })
  await mkdir(path, { mode: 0o755 })
}

/** In place of whatever is there, a link included. */
async function putFile(path: string, content: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await writeFile(path, content, { flag: 'wx', mode: 0o644 })
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false
}
