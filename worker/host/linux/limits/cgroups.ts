import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '#shared/errors.ts'
import { parseMount } from '../root/mounts.ts'

export type Controller = 'memory' | 'cpu' | 'pids' | 'devices' | 'freezer'

/** The cgroup hierarchies of this host: v1 with one mount for each controller (hybrid is that, too), or v2 with one for all. */
export type Cgroups = {
  version: 1 | 2
  /** Every hierarchy: a cgroup is in each of them, also in those without a controller that we use. */
  points: string[]
  /** Returns where a controller's files of a cgroup are; undefined when the host lacks the controller. */
  directory(controller: Controller, cgroup: string): string | undefined
}

export function detectCgroups(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): Cgroups {
  const mounts = mountinfo.split('\n').filter(Boolean).map(parseMount)
  const v1 = mounts.filter(({ fsType }) => fsType === 'cgroup')
  const v2 = mounts.find(({ fsType }) => fsType === 'cgroup2')
  const pointOf = (controller: Controller) => v1.find(({ superOptions }) => superOptions.includes(controller))?.point
  if (pointOf('memory') || !v2) {
    return {
      version: 1,
      points: [...v1, ...(v2 ? [v2] : [])].map(({ point }) => point),
      directory: (controller, cgroup) => {
        const point = pointOf(controller)
        return point && join(point, cgroup)
      },
    }
  }
  return { version: 2, points: [v2.point], directory: (_, cgroup) => join(v2.point, cgroup) }
}

/** Returns the processes in a cgroup, by their ids on the host, from all hierarchies: one may have joined only some so far. */
export function processesIn(cgroups: Cgroups, cgroup: string): number[] {
  const lists = cgroups.points.map((point) => readValue(join(point, cgroup, 'cgroup.procs')))
  return [...new Set(lists.flatMap((list) => (list ? list.split('\n').map(Number) : [])))]
}

/** Returns the names of the cgroups right below one that have processes. */
export function inhabitedCgroups(cgroups: Cgroups, parent: string): string[] {
  const directories = cgroups.points.map((point) => join(point, parent)).filter((path) => existsSync(path))
  const entries = directories.flatMap((path) => readdirSync(path, { withFileTypes: true }))
  const names = new Set(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name))
  return [...names].filter((name) => processesIn(cgroups, `${parent}/${name}`).length > 0)
}

export function cgroupExists(cgroups: Cgroups, cgroup: string): boolean {
  return cgroups.points.some((point) => existsSync(join(point, cgroup)))
}

/**
 * Makes a cgroup within that of a jail, under the jail's limits of CPU and memory. Returns the files through which a process
 * joins it. Not under the limit of processes where that can be: it is none of the jail's.
 */
export function ensureChildCgroup(cgroups: Cgroups, cgroup: string): string[] {
  const directories = (['cpu', 'memory'] as const).flatMap((controller) => cgroups.directory(controller, cgroup) ?? [])
  return [...new Set(directories)].map((directory) => {
    mkdirSync(directory, { recursive: true })
    return join(directory, 'cgroup.procs')
  })
}

/** Removes an empty cgroup from every hierarchy. Returns whether it is gone from all. */
export function removeCgroup(cgroups: Cgroups, cgroup: string): boolean {
  for (const point of cgroups.points) {
    try {
      rmdirSync(join(point, cgroup))
    } catch (error) {
      if (!['ENOENT', 'EBUSY', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error
    }
  }
  return !cgroupExists(cgroups, cgroup)
}

/** Returns a control file's content; undefined when it is not there. */
export function readValue(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    // ENODEV: the cgroup went away between open and read.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return undefined
    throw error
  }
}

/** Lets the processes of a cgroup run, and as fast as they can, so that those that were killed end soon. */
export function releaseCgroup(cgroups: Cgroups, cgroup: string): void {
  const file = (controller: Controller, name: string) => join(cgroups.directory(controller, cgroup) ?? '/nonexistent', name)
  const values =
    cgroups.version === 1
      ? { [file('freezer', 'freezer.state')]: 'THAWED', [file('cpu', 'cpu.cfs_quota_us')]: '-1' }
      : { [file('freezer', 'cgroup.freeze')]: '0', [file('cpu', 'cpu.max')]: 'max' }
  for (const [path, value] of Object.entries(values)) {
    if (existsSync(path)) setValue(path, value)
  }
}

/** Writes a control file. A cgroup that went away meanwhile needs no value. */
export function setValue(path: string, value: string): void {
  try {
    writeFileSync(path, value, { flag: 'r+' })
  } catch (error) {
    if (errnoOf(error) !== 'ENODEV') throw error
  }
}
