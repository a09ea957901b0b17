import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { HostRuntime } from './host-runtime.ts'

/**
 * Makes this the one worker of its host, until the process ends: the kernel gives the lock back, whatever ended it.
 * @throws ProvostError `host_unfit` naming the worker that has it.
 */
export async function lockHost(host: HostRuntime, root: string): Promise<void> {
  const path = join(root, 'worker.lock')
  const file = await host.lockFile(path)
  if (!file) {
    const holder = (await readFile(path, 'utf8')).trim() || 'an unknown process'
    throw new ProvostError('host_unfit', `Another worker has this host already: ${holder}.`, {
      hint: `End that worker first, or give this one another root than ${root}.`,
    })
  }
  await file.truncate(0)
  await file.write(`pid ${process.pid}, started ${new Date().toISOString()}`)
  // The lock lives as long as the open file does, so the file must not be collected.
  held.add(file)
}

const held = new Set<unknown>()
