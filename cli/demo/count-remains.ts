import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

export type Remains = { mounts: number; bridges: number; namespaces: number; cgroups: number; directories: number }

/**
 * Counts what is left on this machine of the jails of a dev state: all 0 when they are gone. `runDirectory` is where their host
 * keeps files that do not outlive a boot; its cgroup has the same name.
 */
export function countRemains(state: string, bridges: string[], runDirectory: string): Remains {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  const hierarchies = ['.', ...list('/sys/fs/cgroup')].map((name) => join('/sys/fs/cgroup', name, basename(runDirectory)))
  return {
    mounts: mounts.filter((line) => line.includes(` ${state}/hosts/`)).length,
    bridges: bridges.filter((bridge) => existsSync(`/sys/class/net/${bridge}`)).length,
    namespaces: list(join(runDirectory, 'netns')).length,
    cgroups: hierarchies.flatMap(directories).length,
    directories: list(join(state, 'hosts')).flatMap((host) => list(join(state, 'hosts', host, 'root', 'jails'))).length,
  }
}

function list(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : []
}

function directories(path: string): string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
}
