import {
  bareAddress,
  bits,
  type Family,
  familyOf,
  formatAddress,
  networkOf,
  parseBlock,
  sizeOf,
} from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import type { WorkerConfig } from '../../../config/config.ts'

type Filter = {
  /** The name of the table, which is the jail's alone. */
  table: string
  /** The host's end of the jail's link. */
  link: string
  mac: string
  /** The leased ones, in CIDR form. */
  addresses: string[]
  pools: Pool[]
  allowHost: NonNullable<WorkerConfig['network']['allowHost']>
  /** What packets of the jails of its client carry while they are in the host's kernel. */
  mark: number
  /** The marks of all jails of this host. */
  otherMarks: { first: number; last: number }
}

/**
 * Where clouds answer whoever asks from within with the host's own secrets: 169.254.169.254 and its brothers. All of 169.254.0.0/16
 * is closed, and with it the link-local address of IPv6 that stands for it.
 */
const metadata = {
  4: ['100.100.100.200', '168.63.129.16', '169.254.0.0/16', '192.0.0.192'],
  6: ['fd00:ec2::254', 'fd20:ce::254', 'fe80::a9fe:a9fe'],
}
const multicast = { 4: '224.0.0.0/4', 6: 'ff00::/8' }
const etherType = { arp: '0x0806', 4: '0x0800', 6: '0x86dd' }
/** Fields of icmpv6 from the start of its header, in bits (RFC 4861): a neighbour advertisement's target, the one option of both. */
const neighbour = { target: '@th,64,128', option: '@th,192,64' }
const sourceOption = '0101'
const targetOption = '0201'

/**
 * Returns the rules of a jail's link as nft(8) takes them and, asked for numbers (`-nn`), lists them: one table of the jail's own,
 * of the family netdev, whose chains are at both ends of what the link carries. A packet that no rule lets pass from the jail is
 * dropped. Nothing here remembers connections: the answer to one that the host itself opens by TCP is known by its ACK.
 */
export function filterRules(filter: Filter): string {
  const { table, link } = filter
  const chain = (name: string, head: string[], rules: string[]) => [
    `\tchain ${name} {`,
    ...[...head, ...rules].map((line) => `\t\t${line}`),
    '\t}',
  ]
  const base = (hook: string, policy: string) => [`type filter hook ${hook} device "${link}" priority 0; policy ${policy};`]
  return [
    // Added first, so that the deletion finds one: all three are one transaction, and the link is never without its rules.
    `add table netdev ${table}`,
    `delete table netdev ${table}`,
    `table netdev ${table} {`,
    ...chain('to_host', [], toHost(filter)),
    ...chain('from_jail', base('ingress', 'drop'), fromJail(filter)),
    ...chain('to_jail', base('egress', 'accept'), toJail(filter)),
    '}',
    '',
  ].join('\n')
}

/** What the jail sends. */
function fromJail({ mac, addresses, pools, mark }: Filter): string[] {
  const own = ofFamilies(addresses.map(bareAddress))
  const pass = `meta mark set ${hex(mark)} accept`
  return [
    `ether type != { ${etherType[4]}, ${etherType.arp}, ${etherType[6]} } drop`,
    `ether saddr != ${mac} drop`,
    ...(own[4].length === 0
      ? []
      : ofFamilies(pools.map(({ cidr }) => cidr))[4].map(
          (cidr) =>
            `arp htype 1 arp ptype 0x0800 arp hlen 6 arp plen 4 arp operation { 1, 2 } arp saddr ether ${mac} arp saddr ip ${anyOf(own[4])} arp daddr ip ${cidr} ${pass}`,
        )),
    `meta protocol ${etherType.arp} drop`,
    ...(own[4].length === 0
      ? [`meta protocol ${etherType[4]} drop`]
      : [`ip saddr != ${anyOf(own[4])} drop`, `ip daddr ${anyOf([...metadata[4], multicast[4]])} drop`]),
    ...(own[6].length === 0 ? [`meta protocol ${etherType[6]} drop`] : fromJail6(own[6], mac, pass)),
    // local, broadcast, anycast, multicast
    'fib daddr type { 2, 3, 4, 5 } goto to_host',
    pass,
  ]
}

function fromJail6(own: string[], mac: string, pass: string): string[] {
  const option = (kind: string) => `${neighbour.option} 0x${kind}${mac.replaceAll(':', '')}`.replace('0x0', '0x')
  const icmp = (bytes: number, type: number) => `ip6 length ${bytes} ip6 nexthdr 58 ip6 hoplimit 255 icmpv6 type ${type}`
  return [
    `ip6 saddr != ${anyOf(own)} drop`,
    // Headers that lead round what is looked at below: hop by hop, routing, destination options, mobility.
    'ip6 nexthdr { 0, 43, 60, 135 } drop',
    `${icmp(24, 135)} ${pass}`,
    `${icmp(32, 135)} ${option(sourceOption)} ${pass}`,
    ...own.flatMap((address) => [
      `${icmp(24, 136)} ${neighbour.target} ${hex128(address)} ${pass}`,
      `${icmp(32, 136)} ${neighbour.target} ${hex128(address)} ${option(targetOption)} ${pass}`,
    ]),
    // All else of neighbours, routers and groups.
    'icmpv6 type 130-153 drop',
    `ip6 daddr ${anyOf([...metadata[6], multicast[6]])} drop`,
  ]
}

/** What the jail sends to the host itself. */
function toHost({ allowHost }: Filter): string[] {
  const allowed = [...new Set(allowHost.map(({ protocol, port }) => `${protocol} dport ${port} accept`))]
  return [
    'tcp flags & 0x10 == 0x10 accept',
    'icmp type { 0, 3, 11, 12 } accept',
    'icmpv6 type { 1, 2, 3, 4, 129 } accept',
    ...allowed,
  ]
}

/** What comes to the jail: of the jails of this host only from its client's, of a pool's addresses only from none of a jail's. */
function toJail({ pools, mark, otherMarks }: Filter): string[] {
  const open = pools.flatMap((pool) => [...(pool.gateway ? [pool.gateway] : []), ...pool.exclude].map(rangeOf))
  const senders = (range: string) =>
    familyOf(range) === 4 ? [`ip saddr ${range}`, `arp saddr ip ${range}`] : [`ip6 saddr ${range}`]
  return [
    `meta mark ${hex(mark)} accept`,
    `meta mark ${hex(otherMarks.first)}-${hex(otherMarks.last)} drop`,
    ...[...new Set(open)].flatMap(senders).map((sender) => `${sender} accept`),
    ...pools.flatMap(({ cidr }) => senders(rangeOf(cidr))).map((sender) => `${sender} drop`),
  ]
}

function ofFamilies(texts: string[]): Record<Family, string[]> {
  const canonical = texts.map(canonicalOf)
  return { 4: canonical.filter((text) => familyOf(text) === 4), 6: canonical.filter((text) => familyOf(text) === 6) }
}

function canonicalOf(text: string): string {
  const block = parseBlock(text)
  const isBlock = text.includes('/') && block.prefix < bits(block.family)
  return isBlock ? `${formatAddress(block.family, networkOf(block))}/${block.prefix}` : formatAddress(block.family, block.value)
}

/** An address, a CIDR or `FIRST-LAST`, as nft(8) lists it: a range that is a whole block as that. */
function rangeOf(text: string): string {
  const [first = '', last] = text.split('-')
  if (last === undefined) return canonicalOf(first)
  const { family, value } = parseBlock(first)
  const size = parseBlock(last).value - value + 1n
  if (size === 1n) return formatAddress(family, value)
  for (let prefix = 0; prefix < (family === 4 ? 32 : 128); prefix++)
    if (sizeOf({ family, value, prefix }) === size && value % size === 0n) return `${formatAddress(family, value)}/${prefix}`
  return `${formatAddress(family, value)}-${formatAddress(family, parseBlock(last).value)}`
}

function anyOf(texts: string[]): string {
  const [only = '', ...more] = texts
  return more.length === 0 ? only : `{ ${texts.join(', ')} }`
}

function hex(mark: number): string {
  return `0x${mark.toString(16).padStart(8, '0')}`
}

function hex128(address: string): string {
  return `0x${parseBlock(address).value.toString(16)}`
}
