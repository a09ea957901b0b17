import { type Answer, failed, findJail, type Kernel, notKnown, type Program } from './kernel.ts'
import { libxo } from './libxo.ts'

const disabled = 'rctl: RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable'

/** rctl(8). Rules are kept by the jail's name, whether there is such a jail or not. */
export function rctlProgram(kernel: Kernel): Program {
  return (args) => {
    if (kernel.sysctl.get('kern.racct.enable') !== '1') return failed(disabled)
    const [flag = '', rule = ''] = args
    if (flag === '-a') {
      if (!/^jail:[^:]+:(memoryuse|maxproc|pcpu|swapuse|vmemoryuse):(deny|sigkill)=\d+$/.test(rule))
        return failed(`rctl: failed to add rule '${rule}': Invalid argument`)
      const [kind] = rule.split('=')
      kernel.rules = [...kernel.rules.filter((each) => each.split('=')[0] !== kind), rule]
      return {}
    }
    if (flag === '-r') {
      const left = kernel.rules.filter((each) => each !== rule && !each.startsWith(`${rule}:`))
      if (left.length === kernel.rules.length) return failed(`rctl: failed to remove rule '${rule}': No such process`)
      kernel.rules = left
      return {}
    }
    if (flag.startsWith('-')) return notKnown(`rctl ${args.join(' ')}`)
    return {
      // Seen on 15.1: the last one first.
      stdout: kernel.rules
        .toReversed()
        .filter((each) => each.startsWith(`${flag}:`))
        .map((each) => `${each}\n`)
        .join(''),
    }
  }
}

/** mount(8): -p, and what jail(8) asks for with mount.devfs. */
export function mountProgram(kernel: Kernel): Program {
  return (args) => {
    const [t, fsType, ruleset = '', from, point = ''] = args
    if (t === '-t' && fsType === 'devfs' && /^-oruleset=\d+$/.test(ruleset) && from === '.') {
      kernel.mounts.push({ device: 'devfs', point, fsType })
      return {}
    }
    if (t === '-t' && fsType === 'tmpfs' && args.length === 4) {
      kernel.mounts.push({ device: ruleset, point: from ?? '', fsType })
      return {}
    }
    const fstab = kernel.mounts.map((mount) => ({
      device: mount.device,
      mntpoint: mount.point,
      fstype: mount.fsType,
      opts: mount.options ?? (mount.fsType === 'zfs' ? 'rw,nfsv4acls' : 'rw'),
      // As fstab(5) of a host has it for its root.
      dump: mount.point === '/' ? 1 : 0,
      pass: mount.point === '/' ? 1 : 0,
    }))
    if (args.join(' ') === '--libxo json -p') return { stdout: `${libxo({ mount: { fstab } })}\n` }
    if (args.join(' ') !== '-p') return notKnown(`mount ${args.join(' ')}`)
    return {
      stdout: fstab
        .map(
          ({ device, mntpoint, fstype, opts, dump, pass }) =>
            `${padded(device)}${padded(mntpoint)}${fstype}\t${opts}${opts.length < 8 ? '\t' : ' '}\t${dump} ${pass}\n`,
        )
        .join(''),
    }
  }
}

/** mount.c: tabs up to the 24th column, then one blank; what is in a name is not escaped. */
function padded(name: string): string {
  return name + (name.length < 24 ? '\t'.repeat(3 - Math.floor(name.length / 8)) : ' ')
}

export function umountProgram(kernel: Kernel): Program {
  return (args) => {
    const point = args.at(-1) ?? ''
    if (args.length > 1) return notKnown(`umount ${args.join(' ')}`)
    const at = kernel.mounts.findLastIndex((mount) => mount.point === point)
    if (at === -1) return failed(`umount: ${point}: not a file system root directory`)
    if (kernel.busyMounts.has(point)) return failed(`umount: unmount of ${point} failed: Device busy`)
    kernel.mounts.splice(at, 1)
    return {}
  }
}

/** ps(1) -J: exit code 1 and nothing where the jail has no process. */
export function psProgram(kernel: Kernel): Program {
  return (args) => {
    if (args.join(' ').replace(/\d+/, 'N') !== '-ww -J N -o pid= -o jid= -o command=') return notKnown(`ps ${args.join(' ')}`)
    const jail = findJail(kernel, args[2] ?? '')
    const lines = [...(jail?.processes ?? [])].map(({ pid, command, jid }) => `${pid} ${jid ?? jail?.jid} ${command}\n`)
    return lines.length > 0 ? { stdout: lines.join('') } : { exitCode: 1 }
  }
}

export function sysctlProgram(kernel: Kernel): Program {
  return (args) => {
    const names = args.filter((arg) => !arg.startsWith('-'))
    const [, name, value] = /^([^=]+)=(.*)$/.exec(names[0] ?? '') ?? []
    if (args.length === 1 && name !== undefined && value !== undefined) return set(kernel, name, value)
    const unknown = names.find((name) => !kernel.sysctl.has(name))
    if (unknown !== undefined) return failed(`sysctl: unknown oid '${unknown}'`)
    // What is no number or text is printed with -x only.
    if (names[0] === 'kern.boot_id')
      return { stdout: args.includes('-x') ? `Format: Length:16 Dump:0x${kernel.sysctl.get('kern.boot_id')}\n` : '' }
    const shown = (name: string) => (args.includes('-n') ? '' : `${name}: `)
    return { stdout: names.map((name) => `${shown(name)}${kernel.sysctl.get(name)}\n`).join('') }
  }
}

function set(kernel: Kernel, name: string, value: string): Answer {
  if (name !== 'vm.vmdaemon_timeout') return notKnown(`sysctl ${name}=${value}`)
  const before = kernel.sysctl.get(name)
  kernel.sysctl.set(name, value)
  return { stdout: `${name}: ${before} -> ${value}\n` }
}

/** sysrc(8): reading, setting, += which adds a word once, and -x which removes. */
export function sysrcProgram(kernel: Kernel): Program {
  return (args) => {
    const words = args.filter((arg) => !arg.startsWith('-'))
    if (args.some((arg) => /^-[^inx]|^-..+/.test(arg))) return notKnown(`sysrc ${args.join(' ')}`)
    if (args.includes('-x')) {
      if (words.some((word) => !kernel.rcConf.has(word))) return notKnown('sysrc -x of what is not set')
      for (const word of words) kernel.rcConf.delete(word)
      return {}
    }
    const lines = words.map((word): string => {
      const [, name = '', op, value = ''] = /^([^=+]+)(\+?=)?(.*)$/s.exec(word) ?? []
      const before = kernel.rcConf.get(name)
      if (op === '=') kernel.rcConf.set(name, value)
      if (op === '+=') kernel.rcConf.set(name, [...new Set([...(before ?? '').split(' ').filter(Boolean), value])].join(' '))
      if (op) return `${name}: ${before ?? ''} -> ${kernel.rcConf.get(name)}\n`
      if (before === undefined) return ''
      return args.includes('-n') ? `${before}\n` : `${name}: ${before}\n`
    })
    // Also with -i, seen on 15.1.
    const unknown = words.filter((word) => !word.includes('=') && !kernel.rcConf.has(word))
    const stderr = args.includes('-i') ? '' : unknown.map((word) => `sysrc: unknown variable '${word}'\n`).join('')
    return { exitCode: unknown.length > 0 ? 1 : 0, stdout: lines.join(''), stderr }
  }
}

/** route(8) -j: a jail's own network gets its gateway. */
export function routeProgram(kernel: Kernel): Program {
  return (args) => {
    const [j, name = '', add, to, gateway, ...more] = args.filter((arg) => arg !== '-4' && arg !== '-6')
    if (j !== '-j' || add !== 'add' || to !== 'default' || gateway === undefined || more.length > 0)
      return notKnown(`route ${args.join(' ')}`)
    if (!findJail(kernel, name)?.vnet) return notKnown('route -j of what has no network of its own')
    return { stdout: `add net default: gateway ${gateway}\n` }
  }
}

export function devfsProgram(kernel: Kernel): Program {
  return (args) => {
    const [rule, s, number = '', show] = args
    if (rule !== 'rule' || s !== '-s' || show !== 'show') return notKnown(`devfs ${args.join(' ')}`)
    return { stdout: kernel.devfsRules.get(number) ?? '' }
  }
}

/** chflags(1): a flag of a file, and the end of flags, -R of a tree, -h of files themselves. */
export function chflagsProgram(kernel: Pick<Kernel, 'flags'>): Program {
  return (args): Answer => {
    if (args.length === 2 && args[0] === 'schg') {
      kernel.flags.set(args[1] ?? '', 'schg')
      return {}
    }
    const [how = '', words = '', ...paths] = args
    const isKnown =
      /^-[Rh]$/.test(how) && words.split(',').every((word) => /^no(schg|sappnd|sunlnk|uchg|uappnd|uunlnk)$/.test(word))
    if (!isKnown || paths.length === 0) return notKnown(`chflags ${args.join(' ')}`)
    for (const [file, flag] of [...kernel.flags]) {
      const isMeant = paths.some((path) => file === path || (how === '-R' && file.startsWith(`${path}/`)))
      if (isMeant && words.split(',').includes(`no${flag}`)) kernel.flags.delete(file)
    }
    return {}
  }
}

/** cpuset(1) -l with -j: binds all that runs in a jail. A CPU that the host has not cannot be among them. */
export function cpusetProgram(kernel: Kernel): Program {
  return ([l, list = '', j, which = '', ...more]) => {
    if (l === '-g' && j !== undefined && which === '') return shownSet(kernel, list, j)
    if (l !== '-l' || j !== '-j' || more.length > 0) return notKnown(`cpuset ${[l, list, j, which, ...more].join(' ')}`)
    const ids = list.split(',').flatMap(idsOf)
    if (ids.length === 0 || ids.some(Number.isNaN)) return failed(`cpuset: Malformed cpu-list ${list}`)
    const jail = findJail(kernel, which)
    if (!jail || jail.dyingFor !== undefined)
      return failed(/^\d+$/.test(which) ? 'cpuset: setaffinity: No such process' : `cpuset: jail "${which}" not found`)
    if (ids.some((id) => id >= Number(kernel.sysctl.get('hw.ncpu')))) return failed('cpuset: setaffinity: Invalid argument')
    jail.cpus = ids
    return {}
  }
}

/** -g: what a jail, or one of its processes, may run on. */
function shownSet(kernel: Kernel, flag: string, which: string): Answer {
  const jails = [...kernel.jails.values()]
  const jail =
    flag === '-j' ? findJail(kernel, which) : jails.find((each) => [...each.processes].some(({ pid }) => `${pid}` === which))
  if (!jail?.cpus || !['-j', '-p'].includes(flag)) return notKnown(`cpuset -g ${flag} ${which}`)
  return { stdout: `${flag === '-j' ? 'jail' : 'pid'} ${which} mask: ${jail.cpus.join(', ')}\n` }
}

/** One item of a list: `3` or `0-3`. */
function idsOf(text: string): number[] {
  const [first, last] = (/^(\d+)(?:-(\d+))?$/.exec(text) ?? []).slice(1).map((each) => each && Number(each))
  if (typeof first !== 'number') return [Number.NaN]
  return Array.from({ length: (typeof last === 'number' ? last : first) - first + 1 }, (_, i) => first + i)
}
