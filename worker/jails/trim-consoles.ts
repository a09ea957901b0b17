import { open } from 'node:fs/promises'
import type { Logger } from 'pino'
import { undefinedIfAbsent } from '../host/files/paths.ts'

const largestBytes = 4 * 1024 ** 2
const keptBytes = 64 * 1024

/**
 * Keeps consoles small that nothing bounds: what jail(8) starts on FreeBSD has the file itself, and so has a jail that an older
 * worker has started. All who write to it append, so it may be cut while they have it open.
 */
export async function trimConsoles(paths: string[], log: Pick<Logger, 'warn'>): Promise<void> {
  for (const path of paths) await trimConsole(path).catch((error) => log.warn({ err: error, path }, 'console'))
}

/** Cuts a console of more than `largestBytes` to its last `keptBytes`. */
export async function trimConsole(path: string): Promise<void> {
  const file = await open(path, 'r+').catch(undefinedIfAbsent)
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
