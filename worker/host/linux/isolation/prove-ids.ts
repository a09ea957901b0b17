import { readOfProcess } from '../processes/processes.ts'
import { rangeOf, rangeSize } from '../root/id-range.ts'
import type { Subject } from './subject.ts'

const maps = ['uid_map', 'gid_map'] as const

/**
 * Returns what is wrong with the ids of a jail's processes: each must have exactly the jail's own range, which the computer has leased to it
 * alone, by what the kernel says. A jail that a worker without ranges has started keeps the host's ids until its next start.
 */
export function idFaults({ host, jail, processes }: Subject): string[] {
  const first = rangeOf(host.layout, host.layout.jail(jail.name))
  const own = first === undefined ? undefined : `0 ${first} ${rangeSize}`
  return processes.flatMap((pid) =>
    maps.flatMap((map) => {
      const seen = mapOf(pid, map)
      const wanted = own ?? mapOf('self', map)
      return seen === undefined || seen === wanted ? [] : [`process ${pid} has the ids ${seen || 'of nobody'} and not ${wanted}`]
    }),
  )
}

function mapOf(pid: number | 'self', map: (typeof maps)[number]): string | undefined {
  return readOfProcess(pid, map)
    ?.trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).join(' '))
    .join(', ')
}
