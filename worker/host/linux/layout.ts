import { join } from 'node:path'
import { hashOf, macOf } from '../derived-names.ts'
import { realPath } from '../files/paths.ts'

/** Returns where everything of one host is. All names come from the root's path, so that one computer may have several hosts. */
export function layoutOf(configuredRoot: string) {
  const root = realPath(configuredRoot)
  const tag = hashOf(root).slice(0, 8)
  const runDirectory = `/run/provost-${tag}`
  const jailsRun = `${runDirectory}/jails`
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
    /** A directory for each client with a jail on the network, and in it a file for each of these jails. */
    clients: `${runDirectory}/clients`,
    /** What the tables of nft(8) of this host's jails begin with. */
    filters: `provost_${tag}_`,
    /** The upper half of the marks that tell packets of one client's jails from those of another's. */
    markBase: Number.parseInt(tag.slice(0, 4), 16) * 0x10000,
    jailsRun,
    /** Of all hosts on this computer: which jail has which ids. */
    ranges: '/run/provost-ranges',
    cgroupParent,
    /** The hardware address of a bridge that we made: it distinguishes ours from one that was there before. */
    bridgeMac: macOf(root),

    jail(name: string) {
      const directory = join(jails, name)
      const bundle = join(directory, 'bundle')
      return {
        directory,
        /** The name of the directory while it is removed, so that a half-removed root is never mounted. */
        removing: join(jails, `.removing-${name}`),
        root: join(directory, 'root'),
        /** Which tree of its world the root was mounted over. */
        lower: join(directory, 'lower'),
        /** Which of the computer's ranges of ids it has. */
        range: join(directory, 'range'),
        disk: join(directory, 'disk'),
        diskImage: join(directory, 'disk.img'),
        bundle,
        pidFile: join(bundle, 'pid'),
        runcLog: join(bundle, 'runc.log'),
        commandPid: join(bundle, 'command.pid'),
        commandDone: join(bundle, 'command.done'),
        /** The exit code of the command, once it has ended. */
        commandEnd: join(bundle, 'command.end'),
        /** What the jail has printed last; what is older is in a file with `.1` behind it. */
        console: join(directory, 'console.log'),
        /** What was written into the jail's files of names. */
        names: join(directory, 'names.json'),
        runcState: `${runDirectory}/runc/${name}`,
        cgroup: `${cgroupParent}/${name}`,
        /** Within the jail's: of what takes in what the jail prints, which is none of the jail's processes. */
        consoleCgroup: `${cgroupParent}/${name}/console`,
        /**
         * What runc finds with the jail's own rights and no more: none of the directories above it is closed to others, and this one only
         * to who is not in the jail's first group.
         */
        runDirectory: join(jailsRun, name),
        /** The root once more. */
        rootForRunc: join(jailsRun, name, 'root'),
        userNamespace: join(jailsRun, name, 'user'),
        network: `${runDirectory}/netns/${name}`,
        filter: `provost_${tag}_${name}`,
        /** At most 15 characters, IFNAMSIZ. */
        veth: `pv${hashOf(`${root}\0${name}`).slice(0, 10)}`,
        mac: macOf(`${root}\0${name}`),
      }
    },
  }
}

export type Layout = ReturnType<typeof layoutOf>
export type JailLayout = ReturnType<Layout['jail']>
