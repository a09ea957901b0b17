import { type Answer, failed, findJail, type Kernel, notKnown, type Program } from './kernel.ts'

const disabled = 'rctl: RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable'

/** rctl(8). Rules are kept by the jail's name, whether there is such a jail or not. */
export function rctlProgram(kernel: Kernel): Program {
  return (args) => {
    if (kernel.sysctl.get('kern.racct.enable') !== '1') return failed(disabled)
    const [flag = '', rule = ''] = args
    if (flag === '-a') {
      if (!/^jail:[^:]+:(memoryuse|maxproc|pcpu):(deny|sigkill)=\d+$/.test(rule))
        return failed(`rctl: failed to add rule '${rule}': Invalid argument`)
      // Another amount is another rule.
      if (!kernel.rules.includes(rule)) kernel.rules.push(rule)
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
    const fstab = kernel.mounts.map((mount) => ({
      device: mount.device,
      mntpoint: mount.point,
      fstype: mount.fsType,
      opts: mount.options ?? 'rw',
    }))
    if (args.join(' ') === '--libxo json -p') return { stdout: `${JSON.stringify({ mount: { fstab } })}\n` }
    if (args.join(' ') !== '-p') return notKnown(`mount ${args.join(' ')}`)
    return {
      stdout: fstab
        .map(({ device, mntpoint, fstype, opts }) => `${padded(device)}${padded(mntpoint)}${fstype}\t${opts}\t\t0 0\n`)
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
    if (!args.includes('-n')) return notKnown(`sysctl ${args.join(' ')}`)
    const unknown = names.find((name) => !kernel.sysctl.has(name))
    if (unknown !== undefined) return failed(`sysctl: unknown oid '${unknown}'`)
    // What is no number or text is printed with -x only.
    if (names[0] === 'kern.boot_id')
      return { stdout: args.includes('-x') ? `Format: Length:16 Dump:0x${kernel.sysctl.get('kern.boot_id')}\n` : '' }
    return { stdout: names.map((name) => `${kernel.sysctl.get(name)}\n`).join('') }
  }
}

/** sysrc(8): reading with -i, setting, and += which adds a word once. */
export function sysrcProgram(kernel: Kernel): Program {
  return (args) => {
    const words = args.filter((arg) => !arg.startsWith('-'))
    if (args.some((arg) => arg.startsWith('-') && arg !== '-i' && arg !== '-n')) return notKnown(`sysrc ${args.join(' ')}`)
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
    const isUnknown = words.some((word) => !word.includes('=') && !kernel.rcConf.has(word))
    return { exitCode: isUnknown ? 1 : 0, stdout: lines.join('') }
  }
}

export function devfsProgram(kernel: Kernel): Program {
  return (args) => {
    const [rule, s, number = '', show] = args
    if (rule !== 'rule' || s !== '-s' || show !== 'show') return notKnown(`devfs ${args.join(' ')}`)
    return { stdout: kernel.devfsRules.get(number) ?? '' }
  }
}

/** chflags(1) that clears flags: -R of a tree, -h of files themselves. */
export function chflagsProgram(kernel: Pick<Kernel, 'flags'>): Program {
  return (args): Answer => {
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

/** One item of a list: `3` or `0-3`. */
function idsOf(text: string): number[] {
  const [first, last] = (/^(\d+)(?:-(\d+))?$/.exec(text) ?? []).slice(1).map((each) => each && Number(each))
  if (typeof first !== 'number') return [Number.NaN]
  return Array.from({ length: (typeof last === 'number' ? last : first) - first + 1 }, (_, i) => first + i)
}
