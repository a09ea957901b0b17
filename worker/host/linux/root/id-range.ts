import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { errnoOf, ProvostError } from '#shared/errors.ts'
import { hashOf } from '../../derived-names.ts'
import type { JailLayout, Layout } from '../layout.ts'

/** How many ids a jail has: 0 to 65,535, as it sees them. */
export const rangeSize = 65_536
/**
 * The ids that systemd's list of them (UIDS-GIDS) leaves unused, and no distribution gives to users or their containers: from
 * 0x70000000 to 0x7FFDFFFF.
 */
const firstId = 0x70000000
export const mostRanges = (0x7ffe0000 - firstId) / rangeSize

type Ranges = Pick<Layout, 'ranges'>
type Place = Pick<JailLayout, 'directory' | 'range'>

/**
 * Leases a range of ids to a jail until its root is unmounted for good, and returns the first. A range belongs to one jail of the whole
 * computer, whichever worker made it: a link with the range's number leads to the jail's directory, and the kernel makes a link once. A boot
 * gives all back, since nothing on a disk depends on which range a jail has.
 * @throws ProvostError `host_exhausted` when all are leased.
 */
export function leaseRange({ ranges }: Ranges, { directory, range }: Place): number {
  const preferred = numberIn(range) ?? Number.parseInt(hashOf(directory).slice(0, 8), 16) % mostRanges
  for (let i = 0; i < mostRanges; i += 1) {
    const number = (preferred + i) % mostRanges
    if (!claim(ranges, number, directory)) continue
    writeFileSync(`${range}.new`, `${number}\n`, { mode: 0o600 })
    renameSync(`${range}.new`, range)
    return firstIdOf(number)
  }
  throw new ProvostError('host_exhausted', `All ${mostRanges} ranges of ids on this computer are leased to jails.`)
}

/** Returns the first id of the range that a jail has; undefined for one that an older worker has made. */
export function rangeOf({ ranges }: Ranges, { directory, range }: Place): number | undefined {
  const number = numberIn(range)
  return number !== undefined && holderOf(ranges, number) === directory ? firstIdOf(number) : undefined
}

/** Gives back all ranges of a jail, also one that a killed worker had leased and not written down. */
export function releaseRange({ ranges }: Ranges, { directory }: Place): void {
  releaseRanges({ ranges }, (holder) => holder === directory)
}

/** Gives back the ranges of jails, told by their directories. Never those of another worker's: it may lease them again meanwhile. */
export function releaseRanges({ ranges }: Ranges, isFree: (directory: string) => boolean): void {
  for (const name of namesIn(ranges)) {
    const holder = holderOf(ranges, name)
    if (holder !== undefined && isFree(holder)) unless(['ENOENT'], () => unlinkSync(join(ranges, name)))
  }
  unless(['ENOENT', 'ENOTEMPTY', 'EEXIST'], () => rmdirSync(ranges))
}

/** Returns the first id of a range, by the range's number. */
export const firstIdOf = (number: number): number => firstId + number * rangeSize

function claim(ranges: string, number: number, directory: string): boolean {
  const link = join(ranges, `${number}`)
  for (;;) {
    try {
      symlinkSync(directory, link)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return holderOf(ranges, number) === directory
      // Another worker may have removed the directory as it was empty.
      if (errnoOf(error) !== 'ENOENT') throw error
      mkdirSync(ranges, { recursive: true, mode: 0o700 })
    }
  }
}

function holderOf(ranges: string, number: number | string): string | undefined {
  return unless(['ENOENT'], () => readlinkSync(join(ranges, `${number}`)))
}

function namesIn(ranges: string): string[] {
  return unless(['ENOENT'], () => readdirSync(ranges)) ?? []
}

function numberIn(range: string): number | undefined {
  if (!lstatSync(range, { throwIfNoEntry: false })?.isFile()) return undefined
  const number = Number(/^(\d+)\n$/.exec(readFileSync(range, 'utf8'))?.[1] ?? Number.NaN)
  return number < mostRanges ? number : undefined
}

function unless<T>(codes: string[], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!codes.includes(errnoOf(error) ?? '')) throw error
    return undefined
  }
}
