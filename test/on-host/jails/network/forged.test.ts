import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { bareAddress } from '#shared/network/addresses.ts'
import { whyNoLinuxJails } from '../../../support/hosts/host-fitness.ts'
import { provision, type TrialHost, trialHost } from '../../../support/hosts/trial-host.ts'
import { until } from '../../../support/until.ts'
import {
  advertisementOfRouter,
  arp,
  broadcast,
  ethernet,
  ip4,
  ip6,
  listen,
  neighbour,
  type Party,
  ping,
  ping6,
  sendFrames,
  solicited,
  tcp,
  udp,
} from './frames.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: forged packets of jails: ${whyNot}`)

const four = 0x0800
const six = 0x86dd
const arpType = 0x0806
const syn = 2
const own = '/proc/self/ns/net'

type Place = 'sibling' | 'stranger' | 'host'
type Sent = [what: string, reaches: Place, frame: Buffer]

const partyOf = ({ layout }: TrialHost, jail: JailSpec): Party => {
  const [first = '', second = ''] = jail.addresses.map(bareAddress)
  return { mac: layout.jail(jail.name).mac, four: first, six: second }
}

/** What root in a jail could put on its link if it had raw sockets; some of it also without (IPV6_FREEBIND). */
function forged(me: Party, sibling: Party, stranger: Party, gateway: Party): Sent[] {
  const to = ({ mac }: { mac: string }, type: number, payload: Buffer) => ethernet(mac, me.mac, type, payload)
  const all = { mac: '33:33:00:00:00:01', six: 'ff02::1' }
  const other = '02:00:00:00:00:77'
  const linkLocal = 'fe80::1'
  return [
    ["a stranger's IPv4 address", 'sibling', to(sibling, four, ip4(stranger.four, sibling.four, 17, udp(9)))],
    ["the gateway's IPv4 address", 'sibling', to(sibling, four, ip4(gateway.four, sibling.four, 17, udp(9)))],
    ['no IPv4 address', 'sibling', to(sibling, four, ip4('0.0.0.0', sibling.four, 17, udp(9)))],
    ["a stranger's IPv6 address", 'sibling', to(sibling, six, ip6(stranger.six, sibling.six, 17, udp(9)))],
    ["the gateway's IPv6 address", 'sibling', to(sibling, six, ip6(gateway.six, sibling.six, 17, udp(9)))],
    ['an address of its link', 'sibling', to(sibling, six, ip6(linkLocal, sibling.six, 17, udp(9)))],
    ['the gateway by ARP', 'sibling', to(sibling, arpType, arp(2, { mac: me.mac, four: gateway.four }, sibling.four))],
    ['a stranger by ARP', 'sibling', to(sibling, arpType, arp(2, { mac: me.mac, four: stranger.four }, sibling.four))],
    [
      'the gateway by ARP to all',
      'sibling',
      ethernet(broadcast, me.mac, arpType, arp(1, { mac: me.mac, four: gateway.four }, gateway.four)),
    ],
    ['another hardware address within ARP', 'sibling', to(sibling, arpType, arp(2, { mac: other, four: me.four }, sibling.four))],
    ['the gateway by ND', 'sibling', to(sibling, six, ip6(me.six, sibling.six, 58, neighbour(136, gateway.six, 2, me.mac)))],
    ['a stranger by ND', 'sibling', to(sibling, six, ip6(me.six, sibling.six, 58, neighbour(136, stranger.six, 2, me.mac)))],
    ['the gateway by ND to all', 'sibling', to(all, six, ip6(me.six, all.six, 58, neighbour(136, gateway.six, 2, me.mac)))],
    [
      'another hardware address within ND',
      'sibling',
      to(sibling, six, ip6(me.six, sibling.six, 58, neighbour(136, me.six, 2, other))),
    ],
    [
      'another hardware address within a solicitation',
      'sibling',
      to(sibling, six, ip6(me.six, sibling.six, 58, neighbour(135, sibling.six, 1, other))),
    ],
    [
      'ND behind a header hop by hop',
      'sibling',
      to(
        sibling,
        six,
        ip6(
          me.six,
          sibling.six,
          0,
          Buffer.concat([Buffer.from([58, 0, 1, 4, 0, 0, 0, 0]), neighbour(136, gateway.six, 2, me.mac)]),
        ),
      ),
    ],
    ['a router', 'sibling', to(all, six, ip6(me.six, all.six, 58, advertisementOfRouter(me.mac)))],
    ['a router with an address of its link', 'sibling', to(all, six, ip6(linkLocal, all.six, 58, advertisementOfRouter(me.mac)))],
    ['a redirect', 'sibling', to(sibling, six, ip6(me.six, sibling.six, 58, neighbour(137, gateway.six, 2, me.mac)))],
    ['a VLAN', 'sibling', ethernet(sibling.mac, me.mac, four, ip4(me.four, sibling.four, 17, udp(4_095)), 5)],
    ['another protocol', 'sibling', to(sibling, 0x88cc, Buffer.alloc(46))],
    ['its own IPv4 address to a stranger', 'stranger', to(stranger, four, ip4(me.four, stranger.four, 17, udp(9)))],
    ['its own IPv6 address to a stranger', 'stranger', to(stranger, six, ip6(me.six, stranger.six, 17, udp(9)))],
    ['an ARP for a stranger', 'stranger', ethernet(broadcast, me.mac, arpType, arp(1, me, stranger.four))],
    [
      'a solicitation of a stranger',
      'stranger',
      to(solicited(stranger.six), six, ip6(me.six, solicited(stranger.six).six, 58, neighbour(135, stranger.six, 1, me.mac))),
    ],
    ['a packet to a hardware address of nobody', 'stranger', to({ mac: other }, four, ip4(me.four, stranger.four, 17, udp(9)))],
    ['UDP to the host', 'host', to(gateway, four, ip4(me.four, gateway.four, 17, udp(9)))],
    ['UDP to the host by IPv6', 'host', to(gateway, six, ip6(me.six, gateway.six, 17, udp(9)))],
    ['a connection to the host', 'host', to(gateway, four, ip4(me.four, gateway.four, 6, tcp(22, syn)))],
    ['a connection to the host by IPv6', 'host', to(gateway, six, ip6(me.six, gateway.six, 6, tcp(22, syn)))],
    ['a connection to the loopback of the host', 'host', to(gateway, four, ip4(me.four, '127.0.0.1', 6, tcp(22, syn)))],
    ['a ping of the host', 'host', to(gateway, four, ip4(me.four, gateway.four, 1, ping))],
    ['a ping of the host by IPv6', 'host', to(gateway, six, ip6(me.six, gateway.six, 58, ping6))],
    ['a ping of all by IPv6', 'host', to(all, six, ip6(me.six, all.six, 58, ping6))],
    ['a packet to all', 'host', ethernet(broadcast, me.mac, four, ip4(me.four, '255.255.255.255', 17, udp(67)))],
    ['a packet to a group', 'host', ethernet('01:00:5e:00:00:fb', me.mac, four, ip4(me.four, '224.0.0.251', 17, udp(5353)))],
    ['a question to the metadata of a cloud', 'host', to(gateway, four, ip4(me.four, '169.254.169.254', 6, tcp(80, syn)))],
    ['a question to the metadata of another cloud', 'host', to(gateway, four, ip4(me.four, '100.100.100.200', 6, tcp(80, syn)))],
    ['a question to the metadata by IPv6', 'host', to(gateway, six, ip6(me.six, 'fd00:ec2::254', 6, tcp(80, syn)))],
    // Last: the bridge learns from them where a hardware address is.
    ['another hardware address', 'sibling', ethernet(sibling.mac, other, four, ip4(me.four, sibling.four, 17, udp(9)))],
    ["a stranger's hardware address", 'sibling', ethernet(sibling.mac, stranger.mac, six, ip6(me.six, sibling.six, 17, udp(9)))],
  ]
}

/** What must come through all the same. */
function honest(me: Party, sibling: Party, gateway: Party): Sent[] {
  const to = ({ mac }: { mac: string }, type: number, payload: Buffer) => ethernet(mac, me.mac, type, payload)
  const asked = solicited(gateway.six)
  return [
    ['IPv4 to a jail of its client', 'sibling', to(sibling, four, ip4(me.four, sibling.four, 17, udp(9)))],
    ['IPv6 to a jail of its client', 'sibling', to(sibling, six, ip6(me.six, sibling.six, 17, udp(9)))],
    ['an ARP for a jail of its client', 'sibling', ethernet(broadcast, me.mac, arpType, arp(1, me, sibling.four))],
    ['an answer by ARP', 'sibling', to(sibling, arpType, arp(2, me, sibling.four))],
    ['an answer by ND', 'sibling', to(sibling, six, ip6(me.six, sibling.six, 58, neighbour(136, me.six, 2, me.mac)))],
    ['a solicitation of the gateway', 'host', to(asked, six, ip6(me.six, asked.six, 58, neighbour(135, gateway.six, 1, me.mac)))],
    ['an ARP for the gateway', 'host', ethernet(broadcast, me.mac, arpType, arp(1, me, gateway.four))],
    ['a connection to what the host allows', 'host', to(gateway, four, ip4(me.four, gateway.four, 6, tcp(8053, syn)))],
    ['an answer to a connection of the host', 'host', to(gateway, four, ip4(me.four, gateway.four, 6, tcp(40_001, 0x12)))],
    ['a packet out', 'host', to(gateway, four, ip4(me.four, '198.51.100.7', 17, udp(9)))],
    ['a packet out by IPv6', 'host', to(gateway, six, ip6(me.six, '2001:db8::7', 17, udp(9)))],
  ]
}

/** As a listener hears it: the kernel takes a VLAN's tag off. */
const untagged = (frame: Buffer) =>
  frame.readUInt16BE(12) === 0x8100 ? Buffer.concat([frame.subarray(0, 12), frame.subarray(16)]) : frame

async function openTrial() {
  const [a, b] = [64 + (process.pid % 64), process.pid % 256]
  const network = {
    mode: 'vnet',
    bridge: `pvt${process.pid}`,
    pools: [
      { name: 'four', cidr: `10.${a}.${b}.0/24`, gateway: `10.${a}.${b}.1` },
      { name: 'six', cidr: `fd00:${a}:${b}::/64`, gateway: `fd00:${a}:${b}::1` },
    ],
    allowHost: [{ protocol: 'tcp', port: 8053 }],
  }
  const trial = await trialHost({}, { network })
  const addresses = (n: number) => [`10.${a}.${b}.${n}/24`, `fd00:${a}:${b}::${n}/64`]
  const jail = (n: number, client: string) => trial.jail({ client, addresses: addresses(n) })
  const [me, sibling, stranger] = [jail(10, 'acme'), jail(11, 'acme'), jail(12, 'globex')]
  for (const each of [me, sibling, stranger]) await provision(trial.host, each)
  const gateway: Party = { mac: trial.layout.bridgeMac, four: `10.${a}.${b}.1`, six: `fd00:${a}:${b}::1` }
  return { trial, me, sibling, stranger, gateway }
}

describe.skipIf(whyNot)('on the link of a jail', () => {
  it('nothing forged passes, nor what is not for it to reach, all of which arrives without its rules; the rest passes', async () => {
    const { trial, me, sibling, stranger, gateway } = await openTrial()
    const networkOf = ({ name }: JailSpec) => trial.layout.jail(name).network
    const places = {
      sibling: await listen(networkOf(sibling), 'eth0'),
      stranger: await listen(networkOf(stranger), 'eth0'),
      host: await listen(own, trial.config.network.bridge ?? ''),
    }
    const parties = [partyOf(trial, me), partyOf(trial, sibling), partyOf(trial, stranger)] as const
    const frames = { forged: forged(...parties, gateway), honest: honest(parties[0], parties[1], gateway) }
    let round = 0
    const arrived = async (sent: Sent[]) => {
      round++
      const before = {
        sibling: places.sibling.heard().length,
        stranger: places.stranger.heard().length,
        host: places.host.heard().length,
      }
      const heard = (place: Place) => places[place].heard().slice(before[place])
      const frames = sent.map(([, , frame]) => frame)
      sendFrames(networkOf(me), 'eth0', frames)
      // What the host itself sends comes last, and an ARP for the gateway with the round behind its end.
      const last = Buffer.from(`provost-last-${round}`)
      for (const [place, party] of [
        ['sibling', parties[1]],
        ['stranger', parties[2]],
      ] as const) {
        const frame = ethernet(broadcast, gateway.mac, arpType, arp(2, gateway, party.four))
        sendFrames(own, trial.config.network.bridge ?? '', [Buffer.concat([frame, last])])
        await until('what the host sent', () => heard(place).includes(last.toString('hex')))
      }
      const frame = ethernet(gateway.mac, parties[0].mac, arpType, arp(1, parties[0], gateway.four))
      sendFrames(networkOf(me), 'eth0', [Buffer.concat([frame, last])])
      await until('an ARP at the host', () => heard('host').includes(last.toString('hex')))
      return sent.flatMap(([what, place, sentFrame]) =>
        heard(place).includes(untagged(sentFrame).toString('hex')) ? [what] : [],
      )
    }
    const names = (sent: Sent[]) => sent.map(([what]) => what)
    try {
      expect(await arrived(frames.forged)).toEqual([])
      expect(await arrived(frames.honest)).toEqual(names(frames.honest))
      for (const { name } of [me, sibling, stranger])
        await trial.run('nft', ['delete', 'table', 'netdev', trial.layout.jail(name).filter])
      expect(await arrived(frames.forged)).toEqual(names(frames.forged))
    } finally {
      for (const { process: child } of Object.values(places)) child.kill('SIGKILL')
      await trial.close()
    }
  })

  it('a source that it does not have is refused without any capability, which it could use without its rules', async () => {
    const { trial, me, sibling, stranger } = await openTrial()
    const { network } = trial.layout.jail(me.name)
    const [to, as] = [partyOf(trial, sibling).six, partyOf(trial, stranger).six]
    const place = await listen(trial.layout.jail(sibling.name).network, 'eth0')
    // 41 and 78: IPPROTO_IPV6 and IPV6_FREEBIND.
    const script = `use Socket qw(:all); socket(my $s, AF_INET6, SOCK_DGRAM, 0) or die $!; setsockopt($s, 41, 78, 1) or die $!;
bind($s, pack_sockaddr_in6(0, inet_pton(AF_INET6, shift))) or die $!; send($s, shift, 0, pack_sockaddr_in6(9, inet_pton(AF_INET6, shift))) or die $!;`
    const send = (source: string, text: string) =>
      promisify(execFile)('nsenter', [
        `--net=${network}`,
        'setpriv',
        '--bounding-set=-all',
        '--inh-caps=-all',
        'perl',
        '-e',
        script,
        source,
        text,
        to,
      ])
    const hears = (text: string) => place.heard().includes(Buffer.from(text).toString('hex'))
    try {
      await send(as, 'forged-one')
      await send(partyOf(trial, me).six, 'honest-one')
      await until('the honest one', () => hears('honest-one'))
      expect(hears('forged-one')).toBe(false)
      await trial.run('nft', ['delete', 'table', 'netdev', trial.layout.jail(me.name).filter])
      await trial.run('nft', ['delete', 'table', 'netdev', trial.layout.jail(sibling.name).filter])
      await send(as, 'forged-two')
      await until('the forged one', () => hears('forged-two'))
    } finally {
      place.process.kill('SIGKILL')
      await trial.close()
    }
  })

  it('the host is reached at what allowHost names and nowhere else, and reaches its jails', async () => {
    const { trial, me, gateway } = await openTrial()
    const { network } = trial.layout.jail(me.name)
    const servers = await Promise.all(
      [8053, 8054].map(async (port) => {
        const server = createServer((socket) => socket.end('here'))
        await new Promise<void>((resolve) => server.listen(port, gateway.four, resolve))
        return server
      }),
    )
    const ask = (port: number) =>
      promisify(execFile)('nsenter', [`--net=${network}`, 'busybox', 'nc', '-w', '2', gateway.four, `${port}`]).then(
        ({ stdout }) => stdout,
        () => 'nothing',
      )
    try {
      expect(await Promise.all([ask(8053), ask(8054)])).toEqual(['here', 'nothing'])
      const pinged = promisify(execFile)('busybox', ['ping', '-c', '1', '-W', '5', partyOf(trial, me).four])
      await expect(pinged).resolves.toMatchObject({ stdout: expect.stringContaining('1 packets received') })
    } finally {
      for (const server of servers) server.close()
      await trial.close()
    }
  })
})
