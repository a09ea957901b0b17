import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { ArchiveWorld } from '../../../../worker/config/world.ts'
import { archive } from '../../../../worker/worlds/methods/archive.ts'
import { asker, openStore, run, test } from '../world-fixture.ts'

const sumOf = (content: Buffer | string) => createHash('sha256').update(content).digest('hex')

/** Makes a small world as a tar, with more options of tar(1). */
async function makeArchive(scratch: string, ...options: string[]) {
  const source = join(scratch, 'source')
  await mkdir(join(source, 'etc'), { recursive: true })
  await mkdir(join(source, 'bin'), { recursive: true })
  await writeFile(join(source, 'etc/motd'), 'hello\n')
  await writeFile(join(source, 'bin/sh'), 'x'.repeat(100_000))
  await chmod(join(source, 'bin/sh'), 0o755)
  await symlink('sh', join(source, 'bin/ash')).catch(() => undefined)
  const path = join(scratch, 'base.tar')
  execFileSync('tar', ['-c', '-f', path, '-C', source, ...options, '.'])
  const content = await readFile(path)
  return { path, content, sha256: sumOf(content) }
}

/** Returns the failure of a fill, after a check that it leaves nothing. */
async function failureOf(kept: Parameters<typeof openStore>[0], definition: Record<string, unknown>, log = asker('one')) {
  const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', ...definition }])
  const error = await store.fill(id, log)?.done.catch((thrown) => thrown)
  expect({ stages: await kept.stages(), worlds: await kept.worlds() }).toEqual({ stages: [], worlds: [] })
  return error
}

describe('a world from an archive', () => {
  for (const compression of ['--no-auto-compress', '--gzip', '--xz']) {
    test(`is unpacked with its modes and links, whatever it is packed with (${compression})`, async ({ kept, scratch }) => {
      const { path, sha256 } = await makeArchive(scratch, compression)
      const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', path, sha256: sha256.toUpperCase() }])
      await store.fill(id, asker('one'))?.done
      const tree = kept.host.worldTree(id)
      expect(await readFile(join(tree, 'etc/motd'), 'utf8')).toBe('hello\n')
      expect((await lstat(join(tree, 'bin/sh'))).mode & 0o777).toBe(0o755)
      expect(await readlink(join(tree, 'bin/ash'))).toBe('sh')
    })
  }

  test('is checked and counted by its line of a MANIFEST, without being read through once more', async ({ scratch }) => {
    const { path, sha256 } = await makeArchive(scratch)
    const manifest = join(scratch, 'MANIFEST')
    await writeFile(manifest, `base-dbg.txz\t${'0'.repeat(64)}\t9\tbase_dbg\nbase.tar\t${sha256}\t6\tbase\t"Base system"\ton\n`)
    const commands: string[] = []
    const fractions: number[] = []
    const directory = join(scratch, 'target')
    await mkdir(directory)
    await archive({
      world: { name: 'base', method: 'archive', prefill: false, path, manifest } as ArchiveWorld,
      directory,
      platform: 'linux/x64',
      run: (program, args, options) => {
        commands.push(`${program} ${args[0]}`)
        return run(program, args, options)
      },
      signal: new AbortController().signal,
      progress: (fraction) => fractions.push(fraction),
    })
    expect(commands).toEqual(['tar -x'])
    expect(fractions.at(-1)).toBe(1)
  })

  test('shows progress that only rises, and stays below 1 until the world is in its place', async ({ kept, scratch }) => {
    const { path, sha256 } = await makeArchive(scratch)
    const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', path, sha256 }])
    const fill = store.fill(id, asker('one'))
    const seen: number[] = []
    fill?.onProgress((fraction) => seen.push(fraction))
    await fill?.done
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(seen.at(-1)).toBe(0.99)
  })

  test('is checked by what sha256sum has printed', async ({ kept, scratch }) => {
    const { path, sha256 } = await makeArchive(scratch)
    const manifest = join(scratch, 'SHA256SUMS')
    await writeFile(manifest, `${sha256.toUpperCase()} *base.tar\n`)
    const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', path, manifest }])
    await store.fill(id, asker('one'))?.done
    expect(store.isReady(id)).toBe(true)
  })

  test('is refused when its sha256 is another, before anything is unpacked', async ({ kept, scratch }) => {
    const { path } = await makeArchive(scratch)
    const wrong = '0'.repeat(64)
    const log = asker('one')
    const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', path, sha256: wrong }])
    await expect(store.fill(id, log)?.done).rejects.toMatchObject({ code: 'checksum_mismatch', retryable: false })
    expect(log.records).toEqual([])
  })

  test('is refused when the MANIFEST has another sha256, no line for it, or is not there', async ({ kept, scratch }) => {
    const { path, sha256 } = await makeArchive(scratch)
    const manifest = join(scratch, 'MANIFEST')
    await writeFile(manifest, `base.tar\t${'0'.repeat(64)}\t6\tbase\n`)
    expect(await failureOf(kept, { path, manifest })).toMatchObject({ code: 'checksum_mismatch' })
    await writeFile(manifest, `kernel.txz\t${sha256}\t6\tkernel\n`)
    expect(await failureOf(kept, { path, manifest })).toMatchObject({
      code: 'world_source_missing',
      message: expect.stringMatching(/no line for base.tar/),
    })
    expect(await failureOf(kept, { path, manifest: join(scratch, 'none') })).toMatchObject({ code: 'world_source_missing' })
  })

  for (const compression of ['--no-auto-compress', '--gzip', '--xz', '--bzip2'])
    test(`is told as cut short when it is (${compression})`, async ({ kept, scratch }) => {
      const { path, content } = await makeArchive(scratch, compression)
      const cut = content.subarray(0, content.length / 2)
      await writeFile(path, cut)
      expect(await failureOf(kept, { path, sha256: sumOf(cut) })).toMatchObject({
        code: 'archive_invalid',
        message: `The archive ${path} is cut short: it ends in the middle of a file.`,
        retryable: false,
      })
    })

  test('is refused when it is no archive at all, or of no userland', async ({ kept, scratch }) => {
    const { path } = await makeArchive(scratch, '--transform=s,^\\./etc,./debian/etc,')
    expect(await failureOf(kept, { path, sha256: sumOf(await readFile(path)) })).toMatchObject({
      code: 'world_invalid',
      message: 'World base has no directory /etc; at the top of its tree there is bin, debian.',
    })
    await writeFile(path, '<html>Moved</html>')
    expect(await failureOf(kept, { path, sha256: sumOf('<html>Moved</html>') })).toMatchObject({ code: 'archive_invalid' })
  })

  test('is refused when a path leads out of the world, and writes nothing there', async ({ kept, scratch }) => {
    const outside = join(scratch, 'outside')
    for (const transform of ['s,^\\./etc/motd,../../../outside,', `s,^\\./etc/motd,${outside},`]) {
      const { path, sha256 } = await makeArchive(scratch, '-P', `--transform=${transform}`)
      const log = asker('one')
      expect(await failureOf(kept, { path, sha256 }, log)).toMatchObject({
        code: 'archive_invalid',
        message: expect.stringMatching(/leads out of the world/),
      })
      expect(log.records.map(({ command }) => command.slice(0, 6))).toEqual(['tar -t'])
      const manifest = join(scratch, 'MANIFEST')
      await writeFile(manifest, `base.tar\t${sha256}\t6\tbase\n`)
      expect(await failureOf(kept, { path, manifest })).toMatchObject({ code: 'archive_invalid' })
      await expect(lstat(outside)).rejects.toMatchObject({ code: 'ENOENT' })
    }
  })

  test('is missed when it is not where its definition says', async ({ kept, scratch }) => {
    const error = await failureOf(kept, { path: join(scratch, 'none.txz'), sha256: '0'.repeat(64) })
    expect(error).toMatchObject({ code: 'world_source_missing', retryable: false })
  })
})
