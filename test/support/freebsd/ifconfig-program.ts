import { type Answer, failed, findJail, type Kernel, type Link, notKnown, type Program } from './kernel.ts'

/** ifconfig(8), as far as a jail needs it. */
export function ifconfigProgram(kernel: Kernel): Program {
  return (args) => {
    const inJail = args[0] === '-j'
    const jail = inJail ? findJail(kernel, args[1] ?? '') : undefined
    if (inJail && (!jail || jail.dyingFor !== undefined)) return failed(`ifconfig: jail "${args[1]}" not found`)
    const vnet = jail?.vnet ? jail.jid : 0
    const [name = '', verb, ...rest] = inJail ? args.slice(2) : args
    const visible = kernel.links.filter((link) => link.vnet === vnet)
    if (name === '-a') return { stdout: visible.map((link) => shown(link)).join('') }
    if (verb === 'create') return create(kernel, name, rest)
    if (verb === '-vnet') return moveHome(kernel, name, rest[0] ?? '')
    const link = visible.find((each) => each.name === name)
    if (!link) return failed(`ifconfig: interface ${name} does not exist`)
    return act(kernel, link, verb, rest)
  }
}

function act(kernel: Kernel, link: Link, verb: string | undefined, rest: string[]): Answer {
  const [value = ''] = rest
  switch (verb) {
    case undefined:
      return { stdout: shown(link) }
    case 'inet':
    case 'inet6':
      if (verb === 'inet6' && rest.length === 1 && (value === '-no_dad' || value === 'ifdisabled')) {
        Object.assign(link, value === 'ifdisabled' ? { ifDisabled: true } : { noDad: false })
        return {}
      }
      return rest.length === 0 ? { stdout: shown(link, verb) } : address(kernel, link, verb, rest)
    case 'name':
      if (kernel.links.some(({ name, vnet }) => name === value && vnet === link.vnet))
        return failed('ifconfig: ioctl SIOCSIFNAME (set name): File exists')
      if (value.length > 15) return notKnown('an interface name of more than 15 characters')
      for (const bridge of kernel.links) bridge.members = bridge.members.map((member) => (member === link.name ? value : member))
      link.name = value
      return { stdout: `${value}\n` }
    case 'ether':
      link.ether = value
      return {}
    case 'up':
      link.up = true
      return {}
    case 'down':
      link.up = false
      return {}
    case 'deletem':
      if (!link.members.includes(value)) return failed(`ifconfig: BRDGDEL ${value}: No such file or directory`)
      link.members = link.members.filter((member) => member !== value)
      return {}
    case 'mtu':
      link.mtu = Number(value)
      return {}
    case 'addm':
      if (link.kind !== 'bridge') return notKnown('addm of what is no bridge')
      return addMember(kernel, link, value)
    case 'vnet':
      return moveIn(kernel, link, value)
    case 'destroy':
      return destroy(kernel, link)
    default:
      return notKnown(`ifconfig ${link.name} ${verb}`)
  }
}

/** Seen on 15.1: a bridge without a member takes the MTU of its first one, and gives its own to every other. */
function addMember(kernel: Kernel, bridge: Link, name: string): Answer {
  const member = kernel.links.find((link) => link.name === name && link.vnet === bridge.vnet)
  if (!member) return failed(`ifconfig: BRDGADD ${name}: No such file or directory`)
  const [from, to] = bridge.members.length === 0 ? [member, bridge] : [bridge, member]
  if (mtuOf(from) !== mtuOf(to)) to.mtu = mtuOf(from)
  bridge.members.push(name)
  return {}
}

const mtuOf = ({ mtu }: Link) => mtu ?? 1_500

function address(kernel: Kernel, link: Link, family: 'inet' | 'inet6', words: string[]): Answer {
  const [text = '', ...rest] = words
  const [bare = '', length] = text.split('/')
  const widest = family === 'inet' ? 32 : 128
  const prefix = length !== undefined ? Number(length) : widest
  if (prefix > widest) return failed(`ifconfig: ${text}: bad value (width too large)`)
  const at = link.addresses.findIndex((each) => each.address === bare)
  if (rest.includes('-alias')) {
    if (at === -1) return failed("ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address")
    link.addresses.splice(at, 1)
    return {}
  }
  if (!rest.includes('alias') && !rest.includes('up')) return notKnown(`ifconfig ${link.name} ${family} ${words.join(' ')}`)
  const others = kernel.links.filter((each) => each !== link && each.vnet === link.vnet)
  if (family === 'inet6' && others.some((each) => each.addresses.some((on) => on.address === bare)))
    return failed('ifconfig: ioctl (SIOCAIFADDR): File exists')
  if (at !== -1) link.addresses.splice(at, 1)
  if (rest.includes('no_dad')) link.noDad = true
  const isTried = family === 'inet6' && link.kind === 'ether' && !link.noDad && !link.ifDisabled
  if (family === 'inet6') link.ifDisabled = false
  link.addresses.push({
    family,
    address: bare,
    prefix,
    ...(isTried ? { tentative: 2 } : {}),
    ...(isTried && kernel.elsewhere.has(bare) ? { duplicated: true } : {}),
  })
  link.up = true
  return {}
}

/** Each look brings the end of the search nearer. */
function stateOf(address: Link['addresses'][number]): string {
  if (!address.tentative) return address.duplicated ? ' duplicated' : ''
  address.tentative -= 1
  return ' tentative'
}

function create(kernel: Kernel, name: string, rest: string[]): Answer {
  const numbered = /^bridge\d+$/.test(name)
  if (name === 'epair') {
    const number = kernel.nextEpair++
    const [a, b] = [newLink(`epair${number}a`, 'epair'), newLink(`epair${number}b`, 'epair')]
    Object.assign(a, { peer: b })
    Object.assign(b, { peer: a })
    if (rest[0] === 'description' && rest[1]) a.description = rest[1]
    else if (rest.length > 0) return notKnown(`ifconfig epair create ${rest.join(' ')}`)
    kernel.links.push(a, b)
    return { stdout: `${a.name}\n` }
  }
  if (/^epair\d+$/.test(name) && kernel.links.some((each) => each.name === `${name}a`))
    return failed(`ifconfig: interface ${name} already exists`)
  if (name !== 'bridge' && !numbered) return notKnown(`ifconfig ${name} create`)
  const free = (number: number): string =>
    kernel.links.some((each) => each.name === `bridge${number}`) ? free(number + 1) : `bridge${number}`
  const made = numbered ? name : free(0)
  if (kernel.links.some((each) => each.name === made)) return failed(`ifconfig: interface ${made} already exists`)
  kernel.links.push(newLink(made, 'bridge'))
  return { stdout: `${made}\n` }
}

function newLink(name: string, kind: Link['kind']): Link {
  return { name, kind, up: false, addresses: [], members: [], ether: '02:00:00:00:00:00', vnet: 0 }
}

function moveIn(kernel: Kernel, link: Link, which: string): Answer {
  const jail = findJail(kernel, which)
  if (!jail || jail.dyingFor !== undefined) return failed(`ifconfig: jail "${which}" not found`)
  if (!jail.vnet) return notKnown('moving an interface into a jail without vnet')
  Object.assign(link, { vnet: jail.jid, addresses: [] })
  return {}
}

/** Takes an interface out of a jail again; it has lost its addresses. */
function moveHome(kernel: Kernel, name: string, which: string): Answer {
  const jail = findJail(kernel, which)
  const link = kernel.links.find((each) => each.name === name && each.vnet === jail?.jid)
  if (!link) return failed(`ifconfig: interface ${name} does not exist`)
  Object.assign(link, { vnet: 0, addresses: [] })
  return {}
}

/** Destroying an end of an epair destroys both, wherever the other is. */
function destroy(kernel: Kernel, link: Link): Answer {
  if (link.kind !== 'epair' && link.kind !== 'bridge') return failed(`ifconfig: SIOCIFDESTROY: Invalid argument`)
  for (const each of [link, link.peer].filter((end) => end !== undefined)) {
    kernel.links.splice(kernel.links.indexOf(each), 1)
    for (const bridge of kernel.links) bridge.members = bridge.members.filter((member) => member !== each.name)
  }
  return {}
}

function shown(link: Link, only?: 'inet' | 'inet6'): string {
  const { name, kind, up, description, members, ether } = link
  const addresses = link.addresses.filter(({ family }) => family === (only ?? family))
  const flags = `${up ? '8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST>' : '8802<BROADCAST,SIMPLEX,MULTICAST>'} metric 0 mtu ${mtuOf(link)}`
  const lines = [
    ...(description ? [`description: ${description}`] : []),
    ...(kind === 'loop' ? [] : [`ether ${ether}`]),
    ...addresses.map((each) =>
      each.family === 'inet'
        ? `inet ${each.address} netmask ${maskOf(each.prefix)}`
        : `inet6 ${each.address} prefixlen ${each.prefix}${stateOf(each)}`,
    ),
    ...members.map((member) => `member: ${member} flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>`),
    ...(kind === 'ether' ? [] : [`groups: ${kind === 'loop' ? 'lo' : kind}`]),
    `nd6 options=${neighbourOptions(link)}`,
  ]
  return `${name}: flags=${flags}\n${lines.map((line) => `\t${line}\n`).join('')}`
}

/** The flags of ND6 that an interface has. */
function neighbourOptions({ noDad, ifDisabled }: Link): string {
  const flags = { PERFORMNUD: 0x1, ...(ifDisabled && { IFDISABLED: 0x8 }), AUTO_LINKLOCAL: 0x20, ...(noDad && { NO_DAD: 0x100 }) }
  const sum = Object.values(flags).reduce((all, flag) => all + flag)
  return `${sum.toString(16)}<${Object.keys(flags).join(',')}>`
}

function maskOf(prefix: number): string {
  return `0x${(prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0).toString(16).padStart(8, '0')}`
}
