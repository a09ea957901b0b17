import { join } from 'node:path'
import { hashOf, macOf } from '../derived-names.ts'

/**
 * Returns where everything of one host is, below the directory that its root is or is mounted on. The files of jails and worlds
 * have directories of their own (on ZFS datasets): `roots` and `worlds`.
 */
export function layoutOf(directory: string, dataset?: string) {
  const worlds = join(directory, 'worlds')
  const roots = join(directory, 'roots')
  const jails = join(directory, 'jails')
  const boot = join(directory, 'boot')

  return {
    directory,
    dataset,
    worlds,
    roots,
    jails,
    /** The directory that the service of rc(8) reads: it has files of each jail that starts at boot. */
    boot,
    /** It distinguished our part of /etc/rctl.conf, which older workers had. */
    tag: hashOf(directory).slice(0, 8),

    jail(name: string) {
      const own = join(jails, name)
      const parent = join(roots, name)
      const link = `pv${hashOf(`${directory}\0${name}`).slice(0, 10)}`
      return {
        directory: own,
        /** The jail.conf(5) that the jail is started and stopped with. */
        conf: join(own, 'jail.conf'),
        /** The same file, while the jail starts at boot. */
        boot: join(boot, `${name}.conf`),
        bootLimits: join(boot, `${name}.limits`),
        /** What the jail has printed last; of its own command, what is older is in a file with `.1` behind it. */
        console: join(own, 'console.log'),
        /** What was written into the jail's files of names. */
        names: join(own, 'names.json'),
        /** The addresses that we put, or were about to put, on an interface, and its name. */
        aliases: join(own, 'aliases.json'),
        /** The boot and the jid in which the jail's own command was started. */
        commandStarted: join(own, 'command.started'),
        /** The exit code of that command, once it has ended. */
        commandEnd: join(own, 'command.end'),
        parent,
        root: join(parent, 'tree'),
        /** The names of a root while it is copied and while it is removed: a jail never starts on a half-made root. */
        copying: join(roots, `_copying-${name}`),
        removing: join(roots, `_removing-${name}`),
        dataset: dataset && `${dataset}/roots/${name}`,
        /** The two ends of the jail's epair(4); at most 15 characters, IFNAMSIZ. */
        hostEnd: `${link}a`,
        jailEnd: `${link}b`,
        /** epair(4)'s own hardware addresses may be the same as another host's on one wire. */
        hostMac: macOf(`${directory}\0${name}\0a`),
        jailMac: macOf(`${directory}\0${name}\0b`),
        /** The description of an epair until it has its names: it shows whose it is. */
        mark: `provost-${link}`,
      }
    },
  }
}

export type Layout = ReturnType<typeof layoutOf>
export type JailLayout = ReturnType<Layout['jail']>
