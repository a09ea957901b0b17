import { existsSync, lstatSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { type Kernel, type KernelJail, notKnown } from '../kernel.ts'
import { lastOf, type Parameters } from './parse-jail-conf.ts'

// command.c: any of these makes an exec.* string a matter for sh(1).
const metacharacters = /[!"$&'()*;<>?[\\\]`{|}~]/

/** What jail(8) prints on standard output; with -v each operation, too. */
export type Notes = { lines: string[]; verbose: boolean }

/** What jail(8) does on its way, and how it takes it back; both return its message when that fails. */
export type Step = { forward(): Promise<string | undefined>; back?(): Promise<string | undefined> }

/** IPv4 before IPv6; an address without an interface gets no alias. */
export function aliasSteps(kernel: Kernel, name: string, parameters: Parameters, notes: Notes): Step[] {
  return (['inet', 'inet6'] as const).flatMap((family) =>
    (parameters.get(family === 'inet' ? 'ip4.addr' : 'ip6.addr') ?? []).flatMap((text): Step[] => {
      const [link, words] = text.split('|')
      if (!link || words === undefined) return []
      // What follows the address is for ifconfig(8) when it is put there, and is left out when it is taken away.
      const [spec = '', ...more] = words.split(' ')
      const address = spec.includes('/')
        ? [spec]
        : [spec, ...(family === 'inet' ? ['netmask', '255.255.255.255'] : ['prefixlen', '128'])]
      return [
        {
          forward: () => hostCommand(kernel, name, ['/sbin/ifconfig', link, family, ...address, ...more, 'alias'], notes),
          back: () => hostCommand(kernel, name, ['/sbin/ifconfig', link, family, ...address, '-alias'], notes),
        },
      ]
    }),
  )
}

export function devfsStep(kernel: Kernel, name: string, parameters: Parameters, notes: Notes): Step {
  const path = lastOf(parameters, 'path') ?? '/'
  // jail(8): the parameter's own default is 0, and that of mount.devfs 4.
  const ruleset = lastOf(parameters, 'devfs_ruleset') ?? '4'
  const dev = join(path, 'dev')
  return {
    forward: async () => {
      const found = lstatSync(dev, { throwIfNoEntry: false })
      if (!found) return `jail: ${name}: mount.devfs: ${dev}: No such file or directory`
      if (found.isSymbolicLink()) return `jail: ${name}: mount.devfs: ${dev} is a symbolic link`
      return hostCommand(kernel, name, ['/sbin/mount', '-t', 'devfs', `-oruleset=${ruleset}`, '.', dev], notes)
    },
    back: () => unmountDevfs(kernel, name, path, notes),
  }
}

export async function unmountDevfs(kernel: Kernel, name: string, path: string, notes: Notes): Promise<string | undefined> {
  const dev = join(path, 'dev')
  if (!kernel.mounts.some(({ point }) => point === dev)) return `jail: ${name}: mount.devfs: ${dev}: not a mount point`
  return hostCommand(kernel, name, ['/sbin/umount', dev], notes)
}

export function hooks(kernel: Kernel, name: string, parameters: Parameters, key: string, notes: Notes): Step[] {
  return (parameters.get(key) ?? []).map((text) => ({
    forward: async () => {
      if (metacharacters.test(text)) return notKnown(`what sh(1) makes of ${text}`)
      return hostCommand(kernel, name, text.split(' '), notes)
    },
  }))
}

export async function hostCommand(kernel: Kernel, jail: string, argv: string[], notes: Notes): Promise<string | undefined> {
  const [path = '', ...args] = argv
  if (notes.verbose) notes.lines.push(`${jail}: run command: ${argv.join(' ')}\n`)
  const { exitCode, stdout, stderr } = await kernel.host(path.slice(path.lastIndexOf('/') + 1), args)
  notes.lines.push(stdout)
  return exitCode === 0 ? undefined : `${stderr}jail: ${jail}: ${argv.join(' ')}: failed`
}

export async function jailedCommand(kernel: Kernel, jail: KernelJail, text: string, notes: Notes): Promise<string | undefined> {
  const log = lastOf(jail.parameters, 'exec.consolelog')
  if (log && !existsSync(dirname(log))) return `jail: ${jail.name}: open ${log}: No such file or directory`
  const argv = metacharacters.test(text) ? ['/bin/sh', '-c', text] : text.split(/\s+/)
  // Seen on 15.1: it looks up root in the jail first, by either of the two.
  if (jail.parameters.has('exec.clean') && !['pwd.db', 'spwd.db'].some((name) => existsSync(join(jail.path, 'etc', name))))
    return `jail: ${jail.name}: getpwnam: No such file or directory\njail: ${jail.name}: ${text}: failed`
  const shown = metacharacters.test(text) ? `/bin/sh -c ${text}` : text
  if (notes.verbose) notes.lines.push(`${jail.name}: run command in jail: ${shown}\n`)
  const { exitCode, stderr, signal } = await kernel.inJail(jail, argv, log)
  if (exitCode === 0) return undefined
  if (signal) return `jail: ${jail.name}: ${shown}: exited on signal ${constants.signals[signal]}`
  if (exitCode === undefined) return `jail: ${jail.name}: ${shown}: timed out`
  return `${stderr ?? ''}jail: ${jail.name}: ${shown}: failed`
}
