import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { HostRuntime } from '../host-runtime.ts'

/**
 * Makes this the only worker of its host, until the process ends: the kernel releases the lock, whatever ended it.
 * @throws ProvostError `host_unfit` naming the worker that has it.
 */
export async function lockHost(host: HostRuntime, root: string): Promise<void> {
  const path = join(root, 'worker.lock')
  const file = await host.lockFile(path)
  if (!file) {
    const other = (await readFile(path, 'utf8')).trim() || 'an unknown process'
    throw new ProvostError('host_unfit', `Another worker has this host already: ${other}.`, {
      hint: `End that worker first, or give this one another root than ${root}.`,
    })
  }
  await file.truncate(0)
  await file.write(`pid ${process.pid}, started ${new Date().toISOString()}`)
  // The lock lasts as long as the file is open, so the file must not be garbage-collected.
  open.add(file)
}

const open = new Set<unknown>()
