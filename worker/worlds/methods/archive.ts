import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ProvostError } from '#shared/errors.ts'
import type { ArchiveWorld } from '../../config/world.ts'
import { checksumOf } from '../files/checksum-file.ts'
import { download, downloadText } from '../files/download.ts'
import { architectureOf, refuseNewer } from '../files/freebsd-version.ts'
import { countEntries, unpack } from '../files/unpack.ts'
import type { WorldMethod } from '../world-method.ts'

const releases = 'https://download.freebsd.org/ftp/releases'
const trustedManifests = '/usr/local/share/freebsd/MANIFESTS'

type Wanted = { sha256: string; entries?: number }
/** Where an archive is, a path or a URL, and where its MANIFEST is. */
type Source = { path?: string; url?: string; manifest?: string }

/** Unpacks a tar, which is checked before. */
export const archive: WorldMethod<ArchiveWorld> = async ({ world, directory, platform, run, signal, progress }) => {
  if (world.release !== undefined) await refuseNewer(world.release, `World ${world.name}`, run, signal)
  const source = await sourceOf(world, platform)
  const wanted = await wantedOf(world, source, signal)
  const downloaded = join(directory, '.provost-download')
  const file = source.path ?? downloaded
  const unpackFrom = source.url ? 0.5 : 0

  const sum = source.url
    ? await download({ url: source.url, file, signal, progress: (done) => progress(done * unpackFrom) })
    : await sumOf(file, world, signal)
  if (sum !== wanted.sha256) {
    const from = source.path ?? source.url
    throw new ProvostError('checksum_mismatch', `The sha256 of ${from} is ${sum}; world ${world.name} needs ${wanted.sha256}.`)
  }

  const origin = source.url ?? file
  const total = wanted.entries ?? (await countEntries(run, file, signal, origin))
  const unpacked = (done: number) => progress(unpackFrom + (1 - unpackFrom) * done)
  await unpack({ file, origin, directory, platform, total, run, signal, progress: unpacked })
  await rm(downloaded, { force: true })
}

async function sourceOf(world: ArchiveWorld, platform: string): Promise<Source> {
  const { path, url, manifest, sha256, release } = world
  const given: Source = { ...(path ? { path } : {}), ...(url ? { url } : {}), ...(manifest ? { manifest } : {}) }
  if (release === undefined) return given
  const { machine, arch } = architectureOf(platform)
  if (path === undefined) given.url ??= `${releases}/${machine}/${arch}/${release}-RELEASE/base.txz`
  // A MANIFEST from a package is better than one from where the archive is: it is signed.
  const trusted = join(world.manifests ?? trustedManifests, `${machine}-${arch}-${release}-RELEASE`)
  const beside = given.path ? join(dirname(given.path), 'MANIFEST') : new URL('MANIFEST', given.url).href
  if (manifest === undefined && (await isReadable(trusted))) given.manifest = trusted
  else if (manifest === undefined && sha256 === undefined) given.manifest = beside
  return given
}

/** Returns what the archive must be: by the definition, or by its line in the MANIFEST. */
async function wantedOf(world: ArchiveWorld, { path, url, manifest }: Source, signal: AbortSignal): Promise<Wanted> {
  if (manifest === undefined) return { sha256: world.sha256 ?? '' }
  const text = manifest.startsWith('/') ? await readSource(manifest, world) : await downloadText(manifest, signal)
  const place = path ?? decodeURIComponent(new URL(url ?? '').pathname)
  const line = checksumOf(text, place)
  if (!line) throw new ProvostError('world_source_missing', `The manifest ${manifest} has no line for ${basename(place)}.`)
  // With both, both must match.
  if (world.sha256 !== undefined && world.sha256 !== line.sha256)
    throw new ProvostError('checksum_mismatch', `The sha256 of world ${world.name} is not the one of ${manifest}.`)
  return line
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

function isReadable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
