import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Where everything of one host lies. All names come from the root's path, so that several hosts run on one machine. */
export function layoutOf(configuredRoot: string) {
  const root = realPath(configuredRoot)
  const tag = hash(root).slice(0, 8)
  const runDirectory = `/run/provost-${tag}`
  const cgroupParent = `/provost-${tag}`
  const worlds = join(root, 'worlds')
  const jails = join(root, 'jails')

  return {
    root,
    worlds,
    jails,
    runDirectory,
    runcRoot: `${runDirectory}/runc`,
    networks: `${runDirectory}/netns`,
    cgroupParent,
    /** Hardware address of the bridge that we made: the way to tell it from one that was there before. */
    bridgeMac: macOf(root),

    jail(name: string) {
      const directory = join(jails, name)
      const bundle = join(directory, 'bundle')
      return {
        directory,
        /** Where a directory under removal waits for its end, so that a half-removed root is never mounted. */
        removing: join(jails, `.removing-${name}`),
        root: join(directory, 'root'),
        disk: join(directory, 'disk'),
        diskImage: join(directory, 'disk.img'),
        bundle,
        pidFile: join(bundle, 'pid'),
        runcLog: join(bundle, 'runc.log'),
        commandPid: join(bundle, 'command.pid'),
        commandDone: join(bundle, 'command.done'),
        console: join(directory, 'console.log'),
        runcState: `${runDirectory}/runc/${name}`,
        cgroup: `${cgroupParent}/${name}`,
        network: `${runDirectory}/netns/${name}`,
        /** IFNAMSIZ leaves 15 characters. */
        veth: `pv${hash(`${root}\0${name}`).slice(0, 10)}`,
        mac: macOf(`${root}\0${name}`),
      }
    },
  }
}

export type Layout = ReturnType<typeof layoutOf>
export type JailLayout = ReturnType<Layout['jail']>

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A locally administered unicast address. A fixed one: neighbours keep what they learnt over a restart. */
function macOf(text: string): string {
  return `02:${hash(text).slice(10, 20).match(/../g)?.join(':')}`
}

/** mountinfo has real paths only. What is not there yet keeps its name below its real parent. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(realPath(parent), basename(path))
  }
}
