import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must, output } from './ask-host.ts'

export type Storage = 'ufs' | 'zfs'
export type Disk = ReturnType<typeof makeDisk>

/**
 * A disk in memory (md(4)) with a file system of its own: what fills it fills nothing of the machine. `root`: what a worker's
 * configuration has for it; `directory`: where it is mounted.
 */
export function makeDisk(storage: Storage, tag: string, size = '1g') {
  const directory = mkdtempSync(join(tmpdir(), `provost-${storage}-`))
  const pool = `provost_${tag}`
  const device = must('mdconfig', '-a', '-t', 'swap', '-s', size).trim()
  if (storage === 'zfs') must('zpool', 'create', '-f', '-m', directory, pool, `/dev/${device}`)
  else {
    must('newfs', '-U', `/dev/${device}`)
    must('mount', `/dev/${device}`, directory)
  }
  return {
    directory,
    storage,
    root: storage === 'zfs' ? `${pool}/host` : join(directory, 'host'),
    /** Its datasets, if it has any: without those of worlds. */
    datasets: () =>
      storage === 'ufs'
        ? []
        : output('zfs', 'list', '-H', '-o', 'name', '-r', pool)
            .split('\n')
            .filter((name) => name && !name.includes('/worlds/')),
    /** Whatever is left on it goes with it. */
    remove(): void {
      if (storage === 'zfs') output('zpool', 'destroy', '-f', pool)
      else output('umount', '-f', directory)
      output('mdconfig', '-d', '-u', device)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
