import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ProvostError } from '#shared/errors.ts'
import type { RunCommand } from '../host/run-command.ts'
import { download, downloadText } from './download.ts'
import type { ArchiveWorld } from './world.ts'
import type { WorldMethod } from './world-method.ts'

const timeoutMs = 3_600_000
const gnuOptions = ['--xattrs', '--xattrs-include=*', '--warning=no-unknown-keyword']

type Wanted = { sha256: string; entries?: number }

/** A tar, checked before anything of it is unpacked. Its kind is for tar(1) to find out from its content. */
export const archive: WorldMethod<ArchiveWorld> = async ({ world, directory, platform, run, signal, progress }) => {
  const wanted = await wantedOf(world, signal)
  const downloaded = join(directory, '.provost-download')
  const file = world.path ?? downloaded
  const unpackFrom = world.url ? 0.5 : 0

  const sum = world.url
    ? await download({ url: world.url, file, signal, progress: (done) => progress(done * unpackFrom) })
    : await sumOf(file, world, signal)
  if (sum !== wanted.sha256) {
    const source = world.path ?? world.url
    throw new ProvostError('checksum_mismatch', `The sha256 of ${source} is ${sum}; world ${world.name} needs ${wanted.sha256}.`)
  }

  const total = wanted.entries ?? (await countEntries(run, file, signal))
  let unpacked = 0
  const options = platform.startsWith('linux/') ? gnuOptions : []
  const result = await tar(
    run,
    ['-x', '-v', '-p', '--numeric-owner', ...options, '-f', file, '-C', directory],
    signal,
    (text) => {
      unpacked += text.split('\n').length - 1
      progress(unpackFrom + (1 - unpackFrom) * Math.min(1, unpacked / total))
    },
  )
  if (/Removing leading/.test(result.stderr)) throw unsafe(file, 'an absolute path')
  await rm(downloaded, { force: true })
}

/** What the archive must be: by the definition, or by its line in the MANIFEST. */
async function wantedOf(world: ArchiveWorld, signal: AbortSignal): Promise<Wanted> {
  if (world.manifest === undefined) return { sha256: world.sha256 ?? '' }
  const text = world.manifest.startsWith('/')
    ? await readSource(world.manifest, world)
    : await downloadText(world.manifest, signal)
  const name = basename(world.path ?? new URL(world.url ?? '').pathname)
  const line = manifestLine(text, name)
  if (!line) throw new ProvostError('world_source_missing', `The manifest ${world.manifest} has no line for ${name}.`)
  // Both given: both must hold.
  if (world.sha256 !== undefined && world.sha256 !== line.sha256)
    throw new ProvostError('checksum_mismatch', `The sha256 of world ${world.name} is not the one of ${world.manifest}.`)
  return line
}

/** The line of one archive in FreeBSD's MANIFEST: name, sha256, number of entries, and more, with tabs between. */
export function manifestLine(manifest: string, name: string): Wanted | undefined {
  for (const line of manifest.split('\n')) {
    const [file, sha256 = '', entries = ''] = line.split('\t')
    if (file !== name || !/^[0-9a-f]{64}$/.test(sha256)) continue
    return /^[1-9]\d*$/.test(entries) ? { sha256, entries: Number(entries) } : { sha256 }
  }
  return undefined
}

async function readSource(path: string, world: ArchiveWorld): Promise<string> {
  await ensureSource(path, world)
  return readFile(path, 'utf8')
}

async function sumOf(path: string, world: ArchiveWorld, signal: AbortSignal): Promise<string> {
  await ensureSource(path, world)
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash, { signal })
  return hash.digest('hex')
}

async function ensureSource(path: string, { name }: ArchiveWorld): Promise<void> {
  await access(path).catch((error) => {
    throw new ProvostError('world_source_missing', `The file ${path} of world ${name} cannot be read.`, { cause: error })
  })
}

/** Reads the archive once through: damage and paths that lead out of the world are found before anything is unpacked. */
async function countEntries(run: RunCommand, file: string, signal: AbortSignal): Promise<number> {
  let entries = 0
  let outside: string | undefined
  await tar(run, ['-t', '-f', file], signal, (text) => {
    const names = text.split('\n').slice(0, -1)
    entries += names.length
    outside ??= names.find((name) => name.startsWith('/') || name.split('/').includes('..'))
  })
  if (outside !== undefined) throw unsafe(file, outside)
  return Math.max(1, entries)
}

function unsafe(file: string, what: string): ProvostError {
  return new ProvostError('archive_invalid', `The archive ${file} leads out of the world: ${what}.`)
}

async function tar(run: RunCommand, args: string[], signal: AbortSignal, onOutput: (text: string) => void) {
  try {
    return await run('tar', args, { signal, timeoutMs, onOutput })
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code !== 'command_failed') throw error
    // tar starts xz, zstd and the like itself.
    const absent = /(\S+): Cannot exec/.exec(error.facts.logTail ?? '')?.[1]
    if (absent) throw new ProvostError('program_missing', `tar needs ${absent}, which is not on this host.`, error.facts)
    throw new ProvostError('archive_invalid', error.message, error.facts)
  }
}
