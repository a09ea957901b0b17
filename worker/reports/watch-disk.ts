import { statfs } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { HostDisk } from '#shared/host.ts'
import type { SpareRoom } from '../journal/spare-room.ts'

type Deps = { directory: string; spare: SpareRoom; log: Pick<Logger, 'error' | 'info'>; refusedForMs: number }

/** With less than this left, and less than one in a hundred, a host takes no more jails. */
const leastBytes = 64 * 1024 ** 2
const leastFiles = 1_000
const leastShare = 0.01

export type Disk = ReturnType<typeof watchDisk>

/** Returns what knows how full this host's disk is, as of the last look, and whether it lately took no writes. */
export function watchDisk({ directory, spare, log, refusedForMs }: Deps) {
  let refusedAt = Number.NEGATIVE_INFINITY
  let known: HostDisk | undefined

  async function look(): Promise<void> {
    const { bavail, blocks, bsize, files, ffree } = await statfs(directory)
    const [free, total] = [bavail * bsize, blocks * bsize]
    const isRefusing = performance.now() - refusedAt < refusedForMs
    // Some file systems have no fixed number of files, and say 0.
    const isLow = (left: number, of: number, least: number) => left < Math.min(least, of * leastShare)
    const isFull = isRefusing || isLow(free, total, leastBytes) || isLow(ffree, files, leastFiles)
    if (isFull && !known?.isFull) log.error({ free, total, freeFiles: ffree, directory }, "this host's disk is full")
    if (!isFull && known?.isFull) log.info({ free, total, directory }, "this host's disk has room again")
    known = { free, total, isFull, isRefusing }
    if (!isFull) await spare.take(free)
  }

  return {
    look,
    /** Undefined before the first look. */
    now: (): HostDisk | undefined => known,
    /** Called when a write has found no room. */
    refused(): void {
      refusedAt = performance.now()
      if (known) known = { ...known, isFull: true, isRefusing: true }
    },
  }
}
