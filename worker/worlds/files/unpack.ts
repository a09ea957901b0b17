import { ProvostError } from '#shared/errors.ts'
import { clearFlags } from '../../host/freebsd/root/file-flags.ts'
import type { RunCommand } from '../../host/programs/run-command.ts'

const timeoutMs = 3_600_000

/**
 * Returns the flags and the output of the host's tar(1). GNU tar lists on standard output; FreeBSD's bsdtar(1) on standard error,
 * with `x ` or `a ` before each name. Both keep owners and modes as root; bsdtar keeps file flags too, and with --unlink
 * replaces what is there.
 */
function dialect(platform: string) {
  if (platform.startsWith('freebsd/'))
    return { extract: ['-x', '-v', '-p', '--numeric-owner', '--unlink'], lists: 'stderr', entry: /^[xa] /gm } as const
  const gnu = ['--xattrs', '--xattrs-include=*', '--warning=no-unknown-keyword']
  const options = platform.startsWith('linux/') ? gnu : []
  return { extract: ['-x', '-v', '-p', '--numeric-owner', ...options], lists: 'stdout', entry: /^.+$/gm } as const
}

type Unpacking = {
  file: string
  /** What its faults are told of, if the file is only a copy: where it came from. */
  origin?: string | undefined
  directory: string
  platform: string
  /** How many entries it has. */
  total: number
  run: RunCommand
  signal: AbortSignal
  progress(fraction: number): void
}

/** Unpacks a tar; tar(1) finds out how it is compressed. @throws ProvostError `archive_invalid`. */
export async function unpack({ file, origin, directory, platform, total, run, signal, progress }: Unpacking): Promise<void> {
  const { extract, lists, entry } = dialect(platform)
  let unpacked = 0
  const result = await tar(
    run,
    [...extract, '-f', file, '-C', directory],
    { signal, follow: lists, called: origin ?? file },
    (text) => {
      unpacked += text.match(entry)?.length ?? 0
      progress(Math.min(1, unpacked / total))
    },
  )
  if (/Removing leading/.test(result.stderr)) throw leadsOut(origin ?? file, 'an absolute path')
  // A flag on the root of the world would keep the rest of the fill from writing there.
  if (platform.startsWith('freebsd/')) await clearFlags(run, [directory], signal)
}

/**
 * Reads an archive through and returns how many entries it has, so that damage, and a path that leads out of the world, are
 * seen before anything is unpacked. @throws ProvostError `archive_invalid`.
 */
export async function countEntries(run: RunCommand, file: string, signal: AbortSignal, origin = file): Promise<number> {
  let entries = 0
  let outside: string | undefined
  await tar(run, ['-t', '-f', file], { signal, follow: 'stdout', called: origin }, (text) => {
    const names = text.split('\n').slice(0, -1)
    entries += names.length
    outside ??= names.find((name) => name.startsWith('/') || name.split('/').includes('..'))
  })
  if (outside !== undefined) throw leadsOut(origin, outside)
  return Math.max(1, entries)
}

/** Packs a directory without what is mounted below it, and returns how many entries it has. `onEntry` gets the number so far. */
export async function pack(
  { source, file, platform, run, signal }: { source: string } & Pick<Unpacking, 'file' | 'platform' | 'run' | 'signal'>,
  onEntry: (entries: number) => void,
): Promise<number> {
  const { lists, entry } = dialect(platform)
  let packed = 0
  const args = ['-c', '-v', '--one-file-system', '-f', file, '-C', source, '.']
  await tar(run, args, { signal, follow: lists, called: source }, (text) => {
    packed += text.match(entry)?.length ?? 0
    onEntry(packed)
  })
  return Math.max(1, packed)
}

function leadsOut(file: string, what: string): ProvostError {
  return new ProvostError('archive_invalid', `The archive ${file} leads out of the world: ${what}.`)
}

/** How the programs that unpack say that an archive ends too early: GNU tar and bsdtar(1), gzip, xz, bzip2, zstd. */
const cutShort =
  /unexpected (end[- ]of[- ](file|input)|eof)|truncated|premature end|file ends unexpectedly|compressed data ended/i

type Following = { signal: AbortSignal; follow: 'stdout' | 'stderr'; called: string }

async function tar(run: RunCommand, args: string[], { called, signal, follow }: Following, onOutput: (text: string) => void) {
  try {
    return await run('tar', args, { signal, timeoutMs, follow, onOutput })
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code !== 'command_failed') throw error
    // tar starts xz, zstd and the like itself.
    const absent = /(\S+): Cannot exec/.exec(error.facts.logTail ?? '')?.[1]
    if (absent) throw new ProvostError('program_missing', `tar needs ${absent}, which is not on this host.`, error.facts)
    if (cutShort.test(error.facts.logTail ?? ''))
      throw new ProvostError('archive_invalid', `The archive ${called} is cut short: it ends in the middle of a file.`, {
        ...error.facts,
        hint: 'It was not fetched or copied whole, or the sha256 is that of a part: fetch it again, and compare it with its source.',
      })
    throw new ProvostError('archive_invalid', `The archive ${called} cannot be read: ${error.message}`, error.facts)
  }
}
