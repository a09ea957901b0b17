import { createHash } from 'node:crypto'
import { link, lstat, mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { World } from '../../../../worker/config/world.ts'
import { commandRunner, findProgram, type RunCommand } from '../../../../worker/host/programs/run-command.ts'
import { archive } from '../../../../worker/worlds/methods/archive.ts'
import { tree } from '../../../../worker/worlds/methods/tree.ts'
import { kernel, type Script, scriptedPrograms } from '../../../support/programs/scripted-programs.ts'
import { test } from '../world-fixture.ts'

const sumOf = (content: Buffer | string) => createHash('sha256').update(content).digest('hex')
const signal = new AbortController().signal
const system = '/sbin:/bin:/usr/sbin:/usr/bin'
const bsdtar = findProgram('bsdtar', system)
if (!bsdtar) console.error('\nNOT RUN HERE: worlds with the real bsdtar(1): it is not there; script/bootstrap installs it\n')

/** One fill of a world, on a host with the 14.4 kernel. */
async function fill(definition: Record<string, unknown>, directory: string, run: RunCommand) {
  const fractions: number[] = []
  const world = World.parse({ name: 'base', method: 'archive', ...definition })
  const context = { directory, platform: 'freebsd/x64', run, signal, progress: (done: number) => void fractions.push(done) }
  await mkdir(directory, { recursive: true })
  const filling = world.method === 'archive' ? archive({ ...context, world }) : undefined
  return { error: await filling?.catch((thrown) => thrown), fractions }
}

/** bsdtar: an `x ` and a name for each entry, on standard error, among what else it has to say. */
const tarOf =
  (entries: number): Script =>
  (args, say) => {
    if (args.includes('-t')) for (let i = 0; i < entries; i += 1) say.stdout(`./file ${i}\n`)
    else for (let i = 0; i < entries; i += 1) say.stderr(`x ./file ${i}\n${i === 2 ? 'tar: a word about something\n' : ''}`)
    return 0
  }

const host = (entries: number) =>
  scriptedPrograms({ tar: tarOf(entries), chflags: () => 0, 'freebsd-version': kernel('14.4-RELEASE-p10') })
const manifestOf = (sha256: string, entries: number) =>
  `MANIFEST-other.txz\t${'1'.repeat(64)}\t3\tother\t"Other"\toff\nbase.txz\t${sha256}\t${entries}\tbase\t"Base system (MANDATORY)"\ton\n`

/** A mirror with the files of one release. */
async function mirror(files: Record<string, string>) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const file = files[request.url?.split('/').at(-1) ?? '']
    if (file === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'content-length': Buffer.byteLength(file) }).end(file)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/14.4-RELEASE/base.txz`
  return { url, asked, close: () => server.close() }
}

describe('a world from base.txz', () => {
  test('is unpacked with file flags, over what is there, and counted by its MANIFEST', async ({ scratch }) => {
    const path = join(scratch, 'base.txz')
    await writeFile(path, 'content')
    await writeFile(join(scratch, 'MANIFEST'), manifestOf(sumOf('content'), 4))
    const { run, commands } = host(4)
    const directory = join(scratch, 'tree')
    const { error, fractions } = await fill({ path, release: '14.4', manifests: '/nowhere' }, directory, run)
    expect(error).toBeUndefined()
    expect(commands.filter(([program]) => program === 'tar')).toEqual([
      ['tar', '-x', '-v', '-p', '--numeric-owner', '--unlink', '-f', path, '-C', directory],
    ])
    expect(fractions).toEqual([0.25, 0.5, 0.75, 1])
  })

  test('is read through first where no MANIFEST counts it', async ({ scratch }) => {
    const path = join(scratch, 'base.txz')
    await writeFile(path, 'content')
    const { run, commands } = host(2)
    const { fractions } = await fill({ path, sha256: sumOf('content') }, join(scratch, 'tree'), run)
    expect(commands.map((command) => command.slice(0, 2))).toEqual([
      ['tar', '-t'],
      ['tar', '-x'],
      // The root of a world may be one that nobody may write to.
      ['chflags', '-h'],
    ])
    expect(fractions).toEqual([0.5, 1])
  })

  test('is taken from a mirror with the MANIFEST beside it, and nothing of either stays', async ({ scratch }) => {
    const served = await mirror({ 'base.txz': 'content', MANIFEST: manifestOf(sumOf('content'), 2) })
    const directory = join(scratch, 'tree')
    const { error, fractions } = await fill({ url: served.url, release: '14.4', manifests: '/nowhere' }, directory, host(2).run)
    served.close()
    expect(error).toBeUndefined()
    expect(served.asked).toEqual(['/14.4-RELEASE/MANIFEST', '/14.4-RELEASE/base.txz'])
    expect(fractions).toEqual([0.5, 0.75, 1])
    expect(await readdir(directory)).toEqual([])
  })

  test('is checked by the trusted MANIFEST, whatever the mirror says of itself', async ({ scratch }) => {
    await writeFile(join(scratch, 'amd64-amd64-14.4-RELEASE'), manifestOf(sumOf('the real one'), 2))
    const served = await mirror({ 'base.txz': 'forged', MANIFEST: manifestOf(sumOf('forged'), 2) })
    const { run, commands } = host(2)
    const { error } = await fill({ url: served.url, release: '14.4', manifests: scratch }, join(scratch, 'tree'), run)
    served.close()
    expect(error).toMatchObject({ code: 'checksum_mismatch', retryable: false })
    expect(commands.filter(([program]) => program === 'tar')).toEqual([])
    expect(served.asked).not.toContain('/14.4-RELEASE/MANIFEST')
  })

  test('must be both what its sha256 and what the trusted MANIFEST say', async ({ scratch }) => {
    const path = join(scratch, 'base.txz')
    await writeFile(path, 'content')
    await writeFile(join(scratch, 'amd64-amd64-14.4-RELEASE'), manifestOf(sumOf('another'), 2))
    const definition = { path, release: '14.4', sha256: sumOf('content'), manifests: scratch }
    expect((await fill(definition, join(scratch, 'tree'), host(2).run)).error).toMatchObject({ code: 'checksum_mismatch' })
  })

  test('is refused when it is newer than the kernel, before anything is fetched', async ({ scratch }) => {
    const served = await mirror({})
    const { error } = await fill({ url: served.url, release: '15.0' }, join(scratch, 'tree'), host(2).run)
    served.close()
    expect(error).toMatchObject({ code: 'world_too_new', message: expect.stringMatching(/15\.0.*14\.4-RELEASE-p10/) })
    expect(served.asked).toEqual([])
  })
})

describe.skipIf(!bsdtar)('a world by the real bsdtar(1)', () => {
  /** A small base with a hard link, packed as FreeBSD packs its own. */
  async function base(scratch: string) {
    const [source, bin] = [join(scratch, 'source'), join(scratch, 'bin')]
    await mkdir(join(source, 'rescue'), { recursive: true })
    await mkdir(join(source, 'etc'))
    await mkdir(bin)
    await symlink(bsdtar ?? '', join(bin, 'tar'))
    await writeFile(join(bin, 'freebsd-version'), '#!/bin/sh\necho 14.4-RELEASE-p10\n', { mode: 0o755 })
    await symlink('/bin/true', join(bin, 'chflags'))
    await writeFile(join(source, 'rescue/sh'), 'x'.repeat(100_000), { mode: 0o555 })
    await link(join(source, 'rescue/sh'), join(source, 'rescue/ls'))
    await symlink('../rescue/sh', join(source, 'etc/shell'))
    await writeFile(join(source, 'etc/a name with\nspace'), '')
    const run = commandRunner({ commandPath: `${bin}:${system}`, worker: 'test' })
    const path = join(scratch, 'base.txz')
    await run('tar', ['-c', '-J', '-f', path, '-C', source, '.'])
    const content = await readFile(path)
    await writeFile(join(scratch, 'MANIFEST'), manifestOf(sumOf(content), 7))
    return { source, run, path }
  }

  const inode = async (path: string) => (await lstat(path)).ino

  test('is unpacked whole, with as many entries as the MANIFEST counts', async ({ scratch }) => {
    const { run, path } = await base(scratch)
    const directory = join(scratch, 'tree')
    const { error, fractions } = await fill({ path, release: '14.4', manifests: '/nowhere' }, directory, run)
    expect(error).toBeUndefined()
    expect(fractions.at(-1)).toBe(1)
    expect((await readFile(join(directory, 'rescue/sh'))).length).toBe(100_000)
    expect(await inode(join(directory, 'rescue/ls'))).toBe(await inode(join(directory, 'rescue/sh')))
  })

  test('is refused when it is cut short, although its sha256 is as asked', async ({ scratch }) => {
    const { run, path } = await base(scratch)
    await truncate(path, 300)
    const sha256 = sumOf(await readFile(path))
    const { error } = await fill({ path, sha256 }, join(scratch, 'tree'), run)
    expect(error).toMatchObject({
      code: 'archive_invalid',
      message: `The archive ${path} is cut short: it ends in the middle of a file.`,
    })
  })

  test('is refused when it leads out of the world by .. or by an absolute path', async ({ scratch }) => {
    const { run, source, path } = await base(scratch)
    const outside = join(scratch, 'outside')
    for (const rule of ['|^\\./etc/shell$|../outside|', `|^\\./etc/shell$|${outside}|`]) {
      await run('tar', ['-c', '-P', '-s', rule, '-f', path, '-C', source, '.'])
      const sha256 = sumOf(await readFile(path))
      await writeFile(join(scratch, 'MANIFEST'), manifestOf(sha256, 7))
      for (const definition of [
        { path, sha256 },
        { path, release: '14.4', manifests: '/nowhere' },
      ]) {
        const { error } = await fill(definition, join(scratch, `tree-${Math.random()}`), run)
        expect(error).toMatchObject({ code: 'archive_invalid' })
      }
      await expect(lstat(outside)).rejects.toMatchObject({ code: 'ENOENT' })
    }
  })

  test('is copied from a directory with its hard links, in as many entries as there are', async ({ scratch }) => {
    const { run, source } = await base(scratch)
    const directory = join(scratch, 'copy')
    await mkdir(directory)
    const fractions: number[] = []
    const world = World.parse({ name: 'base', method: 'tree', path: source })
    if (world.method !== 'tree') throw new Error('not this method')
    const progress = (done: number) => void fractions.push(done)
    await tree({ world, directory, platform: 'freebsd/x64', run, signal, progress })
    expect(await readdir(directory)).toEqual(['etc', 'rescue'])
    expect(await inode(join(directory, 'rescue/ls'))).toBe(await inode(join(directory, 'rescue/sh')))
    expect((await lstat(join(directory, 'rescue/sh'))).mode & 0o777).toBe(0o555)
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b))
    expect(fractions).toContain(0.5)
    expect(fractions.at(-1)).toBe(1)
  })
})
