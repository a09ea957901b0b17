import { createHash } from 'node:crypto'
import { join } from 'node:path'

/**
 * Where everything of one host lies, below the directory that its root is or is mounted on. What jails and worlds consist of
 * has a directory of its own (on ZFS a dataset): `roots` and `worlds`.
 */
export function layoutOf(directory: string, dataset?: string) {
  const worlds = join(directory, 'worlds')
  const roots = join(directory, 'roots')
  const jails = join(directory, 'jails')
  const boot = join(directory, 'boot')
  const tag = hash(directory).slice(0, 8)

  return {
    directory,
    dataset,
    worlds,
    roots,
    jails,
    /** What /etc/jail.conf includes: a file for each jail that is to come back at boot. */
    boot,
    include: join(boot, '*.conf'),
    tag,

    jail(name: string) {
      const own = join(jails, name)
      const holder = join(roots, name)
      const link = `pv${hash(`${directory}\0${name}`).slice(0, 10)}`
      return {
        directory: own,
        /** What the jail is started with and stopped with. */
        conf: join(own, 'jail.conf'),
        /** The same file, while the jail is to come back at boot. */
        boot: join(boot, `${name}.conf`),
        console: join(own, 'console.log'),
        /** Which addresses we put, or were about to put, on which interface. */
        aliases: join(own, 'aliases.json'),
        /** The boot and the jid in which the jail's own command was started. */
        commandStarted: join(own, 'command.started'),
        holder,
        root: join(holder, 'tree'),
        /** Where a copy is made, and where one waits for its removal: a half-made root is never started. */
        copying: join(roots, `_copying-${name}`),
        removing: join(roots, `_removing-${name}`),
        dataset: dataset && `${dataset}/roots/${name}`,
        /** The two ends of the jail's epair(4); IFNAMSIZ leaves 15 characters. */
        hostEnd: `${link}a`,
        jailEnd: `${link}b`,
        hostMac: macOf(`${directory}\0${name}\0a`),
        jailMac: macOf(`${directory}\0${name}\0b`),
        /** On an epair until it has its names: who finds it knows whose it is. */
        mark: `provost-${link}`,
      }
    },
  }
}

export type Layout = ReturnType<typeof layoutOf>
export type JailLayout = ReturnType<Layout['jail']>

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A locally administered unicast address, the same at every start; epair(4)'s own may meet another host's on one wire. */
function macOf(text: string): string {
  return `02:${hash(text).slice(10, 20).match(/../g)?.join(':')}`
}
