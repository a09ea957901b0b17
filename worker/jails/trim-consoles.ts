import { open } from 'node:fs/promises'
import type { Logger } from 'pino'
import { errnoOf } from '#shared/errors.ts'

const largestBytes = 4 * 1024 ** 2
const keptBytes = 64 * 1024

/**
 * Keeps the consoles of jails small: what a jail prints goes to a file of the host, which no limit of the jail holds. All
 * who write to it append, so that it may be cut under them.
 */
export async function trimConsoles(paths: string[], log: Pick<Logger, 'warn'>): Promise<void> {
  for (const path of paths) await trimConsole(path).catch((error) => log.warn({ err: error, path }, 'console'))
}

/** Cuts a console that has grown too large to its last `keptBytes`. */
export async function trimConsole(path: string): Promise<void> {
  const file = await open(path, 'r+').catch((error) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (!file) return
  try {
    const { size } = await file.stat()
    if (size <= largestBytes) return
    const kept = Buffer.alloc(keptBytes)
    const { bytesRead } = await file.read(kept, 0, keptBytes, size - keptBytes)
    await file.truncate(0)
    await file.write(kept, 0, bytesRead, 0)
  } finally {
    await file.close()
  }
}
