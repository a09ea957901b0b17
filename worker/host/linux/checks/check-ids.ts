import { readFileSync } from 'node:fs'
import { fault, fine, type Result } from '../../checks/check-result.ts'
import { readValue } from '../limits/cgroups.ts'
import { firstIdOf, mostRanges, rangeSize } from '../root/id-range.ts'

/** The kernel's own default. */
const leastInotify = 128

/** Whether a jail can have ids of its own. That they can be mounted is tried by the check of the overlay. */
export function checkUserNamespaces(): Result {
  const most = readValue('/proc/sys/user/max_user_namespaces')
  if (most === undefined) return fault('The kernel has no user namespaces.', 'Run one with CONFIG_USER_NS.')
  if (Number(most) < 2) return fault(`user.max_user_namespaces is ${most}.`, 'sysctl user.max_user_namespaces=10000')
  const [first, last] = [firstIdOf(0), firstIdOf(mostRanges - 1) + rangeSize - 1]
  const missing = ['uid_map', 'gid_map'].filter((map) => !covers(readFileSync(`/proc/self/${map}`, 'utf8'), first, last))
  if (missing.length > 0)
    return fault(
      `The ids ${first} to ${last} do not exist here: /proc/self/${missing[0]}.`,
      'Run the worker in no user namespace.',
    )
  return fine(`Root in a jail is none of the host: jails have the ids ${first} to ${last}.`)
}

/** Each jail may have as many as a user of the host: what its root uses up is not the host's. */
export function checkInotify(): Result {
  const most = Number(readValue('/proc/sys/fs/inotify/max_user_instances') ?? leastInotify)
  if (most >= leastInotify) return fine(`Each jail may have ${most} inotify instances, which are none of the host's.`)
  return fault(
    `fs.inotify.max_user_instances is ${most}, for each jail.`,
    `sysctl fs.inotify.max_user_instances=${leastInotify}, or more.`,
  )
}

/** Whether a map, user_namespaces(7), has all ids from one to another in one line. */
export function covers(map: string, first: number, last: number): boolean {
  const lines = map.trim().split('\n')
  return lines.some((line) => {
    const [inside = 0, , size = 0] = line.trim().split(/\s+/).map(Number)
    return inside <= first && last < inside + size
  })
}
