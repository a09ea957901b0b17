/** What a file of checksums says of one archive: its sha256 and, in a MANIFEST only, how many entries it has. */
export type Checksum = { sha256: string; entries?: number }

type Line = Checksum & { name: string }

const hash = '[0-9a-fA-F]{64}'
/** FreeBSD's MANIFEST: name, sha256, number of entries, and more, separated by tabs. */
const manifestLine = new RegExp(`^([^\\t]+)\\t(${hash})(?:\\t(\\d*).*)?$`)
/** sha256sum(1): `*` is for a binary file; a backslash at the start, that the name has escapes. */
const gnuLine = new RegExp(`^\\\\?(${hash}) [ *](.+)$`)
/** sha256(1) of the BSDs, and sha256sum --tag. */
const bsdLine = new RegExp(`^SHA(?:2-)?256 ?\\((.+)\\) ?= ?(${hash})$`, 'i')
/** A file beside the archive that has nothing but its sum. */
const bareSum = new RegExp(`^${hash}$`)

/**
 * Returns what a file of checksums says of the archive at `place`, a path: in the line whose name is the end of that path. Of
 * several such lines, as of images/a.txz and a.txz, the longest name counts.
 */
export function checksumOf(text: string, place: string): Checksum | undefined {
  const lines = text.split(/\r?\n/).map((line) => line.trimEnd())
  const filled = lines.filter((line) => line !== '')
  if (filled.length === 1 && bareSum.test(filled[0] ?? '')) return { sha256: (filled[0] ?? '').toLowerCase() }
  const [best] = filled
    .flatMap((line) => parseLine(line) ?? [])
    .filter(({ name }) => `/${place}`.endsWith(`/${name}`))
    .sort((a, b) => b.name.length - a.name.length)
  return best && { sha256: best.sha256, ...(best.entries === undefined ? {} : { entries: best.entries }) }
}

function parseLine(line: string): Line | undefined {
  const [, inManifest, manifestSum, entries] = manifestLine.exec(line) ?? []
  if (inManifest && manifestSum)
    return { ...lineOf(inManifest, manifestSum), ...(Number(entries) > 0 ? { entries: Number(entries) } : {}) }
  const [, gnuSum, inGnu] = gnuLine.exec(line) ?? []
  if (inGnu && gnuSum) return lineOf(inGnu, gnuSum)
  const [, inBsd, bsdSum] = bsdLine.exec(line) ?? []
  return inBsd && bsdSum ? lineOf(inBsd, bsdSum) : undefined
}

const lineOf = (name: string, sum: string): Line => ({ name: name.replace(/^\.?\/+/, ''), sha256: sum.toLowerCase() })
