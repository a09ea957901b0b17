import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, onTestFinished, test } from 'vitest'
import { appendEntries, recoverEntries, replaceEntries } from '../../../worker/journal/file.ts'

/** A directory on a disk of 64 KiB. */
async function smallDisk(skip: (condition: boolean, why: string) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'provost-disk-'))
  const mounted = await execa('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], { reject: false })
  skip(mounted.exitCode !== 0, 'no tmpfs can be mounted here')
  onTestFinished(async () => {
    await execa('umount', [directory])
    await rm(directory, { recursive: true })
  })
  return directory
}

const large = { text: 'x'.repeat(100_000) }

describe('on a full disk', () => {
  test('an entry that does not fit is refused, and leaves nothing of itself', async ({ skip }) => {
    const path = join(await smallDisk(skip), 'web1.ndjson')
    await appendEntries(path, [{ n: 1 }])
    await expect(appendEntries(path, [large])).rejects.toMatchObject({ code: 'ENOSPC' })
    await appendEntries(path, [{ n: 2 }])
    expect(await recoverEntries(path)).toEqual([{ n: 1 }, { n: 2 }])
  })

  test('a file that cannot be written anew stays as it was', async ({ skip }) => {
    const path = join(await smallDisk(skip), 'web1.ndjson')
    await writeFile(path, '{"n":1}\n')
    await expect(replaceEntries(path, [large])).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await recoverEntries(path)).toEqual([{ n: 1 }])
    await appendEntries(path, [{ n: 2 }])
    expect(await recoverEntries(path)).toEqual([{ n: 1 }, { n: 2 }])
  })
})
