import { mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import type { LinuxHost } from '../linux-host.ts'

/** The lower half of a mark: 0 is of no client, and the last is left out. */
const most = 0xfffe

/**
 * Returns the mark of the jails of a jail's client on this host, and keeps it until `giveBackMark` of the last of them. It is noted
 * below /run, whose files are gone after a boot as the rules are. Synchronous, so that no two clients get one number.
 */
export function takeMark(host: LinuxHost, jail: JailSpec): number {
  const { clients, markBase } = host.layout
  const numbers = numbersByClient(host)
  const number = numbers.get(jail.client) ?? firstFree(new Set(numbers.values()))
  const directory = join(clients, `${number}=${jail.client}`)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, jail.name), '')
  return markBase + number
}

/** Returns the mark that a jail has; undefined when it has none. */
export function markOf(host: LinuxHost, jail: JailSpec): number | undefined {
  const number = numbersByClient(host).get(jail.client)
  if (number === undefined) return undefined
  const { clients, markBase } = host.layout
  return namesIn(join(clients, `${number}=${jail.client}`)).includes(jail.name) ? markBase + number : undefined
}

export function giveBackMark(host: LinuxHost, jail: JailSpec): void {
  const number = numbersByClient(host).get(jail.client)
  if (number === undefined) return
  const directory = join(host.layout.clients, `${number}=${jail.client}`)
  rmSync(join(directory, jail.name), { force: true })
  try {
    rmdirSync(directory)
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error
  }
}

/** The first and the last mark of any jail of this host. */
export function marksOf({ layout }: LinuxHost): { first: number; last: number } {
  return { first: layout.markBase + 1, last: layout.markBase + most }
}

function numbersByClient({ layout }: LinuxHost): Map<string, number> {
  return new Map(
    namesIn(layout.clients).map((name) => {
      const [number = '', client = ''] = name.split('=')
      return [client, Number(number)]
    }),
  )
}

function firstFree(taken: Set<number>): number {
  for (let number = 1; number <= most; number++) if (!taken.has(number)) return number
  throw new ProvostError('host_exhausted', `This host has jails of ${most} clients, and no mark for one more.`)
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
