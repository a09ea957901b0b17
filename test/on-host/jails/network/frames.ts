import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { formatAddress, parseBlock } from '#shared/network/addresses.ts'

/** Whose frames they are, and for whom: hardware address and addresses, without their prefix. */
export type Party = { mac: string; four: string; six: string }

/** Opens the link of raw frames, packet(7), by the name in the first argument. */
const open = `use Socket; socket(my $s, 17, SOCK_RAW, unpack('S', pack('n', 3))) or die $!; my $r = pack('a16 x16', shift);
ioctl($s, 0x8933, $r) or die $!; my $i = unpack('x16 i', $r); my $to = pack('S n i x12', 17, 3, $i); bind($s, $to) or die $!;`

/** Sends frames as they are, given in hexadecimal. */
export function sendFrames(network: string, link: string, frames: Buffer[]): void {
  const script = `${open} for (@ARGV) { send($s, pack('H*', $_), 0) or die $! }`
  execFileSync('nsenter', [`--net=${network}`, 'perl', '-e', script, link, ...frames.map((frame) => frame.toString('hex'))])
}

/** Notes each frame that comes in on a link. Its own are not noted (PACKET_OUTGOING is 4). */
export async function listen(network: string, link: string): Promise<{ heard(): string; process: ChildProcess }> {
  const script = `$| = 1; ${open} print "ready\\n"; while (my $from = recv($s, my $b, 65535, 0)) { print unpack('H*', $b), "\\n" if unpack('x10 C', $from) != 4 }`
  const child = spawn('nsenter', [`--net=${network}`, 'perl', '-e', script, link], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  while (!text.includes('ready')) await once(child.stdout, 'data')
  return { heard: () => text, process: child }
}

export const broadcast = 'ff:ff:ff:ff:ff:ff'

const hex = (text: string) => Buffer.from(text.replaceAll(/[^0-9a-f]/g, ''), 'hex')
const bytesOf = (address: string) => {
  const { family, value } = parseBlock(address)
  return hex(value.toString(16).padStart(family === 4 ? 8 : 32, '0'))
}
const word = (value: number) => hex(value.toString(16).padStart(4, '0'))

export function ethernet(to: string, from: string, type: number, payload: Buffer, tag?: number): Buffer {
  return Buffer.concat([hex(to), hex(from), ...(tag === undefined ? [] : [word(0x8100), word(tag)]), word(type), payload])
}

export function arp(operation: number, sender: Pick<Party, 'mac' | 'four'>, target: string): Buffer {
  const head = hex('0001 0800 0604')
  return Buffer.concat([head, word(operation), hex(sender.mac), bytesOf(sender.four), Buffer.alloc(6), bytesOf(target)])
}

export function ip4(from: string, to: string, protocol: number, payload: Buffer): Buffer {
  const before = [hex('4500'), word(20 + payload.length), hex('0000 4000 40'), Buffer.from([protocol])]
  const after = [bytesOf(from), bytesOf(to)]
  const head = Buffer.concat([...before, word(0), ...after])
  let sum = 0
  for (let i = 0; i < head.length; i += 2) sum += head.readUInt16BE(i)
  const folded = (sum & 0xffff) + (sum >>> 16)
  return Buffer.concat([...before, word(~((folded & 0xffff) + (folded >>> 16)) & 0xffff), ...after, payload])
}

export function ip6(from: string, to: string, next: number, payload: Buffer, hops = 255): Buffer {
  return Buffer.concat([hex('60000000'), word(payload.length), Buffer.from([next, hops]), bytesOf(from), bytesOf(to), payload])
}

export const udp = (port: number) => Buffer.concat([word(40_000), word(port), word(8), word(0)])
export const tcp = (port: number, flags: number) =>
  Buffer.concat([word(40_000), word(port), Buffer.alloc(8), Buffer.from([0x50, flags]), Buffer.alloc(6)])
export const ping = hex('0800 0000 0001 0001')
export const ping6 = hex('8000 0000 0001 0001')

/** A message of neighbours or routers (RFC 4861) with a target and one option that names a hardware address. */
export function neighbour(type: number, target: string, option: number, mac: string): Buffer {
  return Buffer.concat([Buffer.from([type, 0, 0, 0, 0x60, 0, 0, 0]), bytesOf(target), Buffer.from([option, 1]), hex(mac)])
}

export function advertisementOfRouter(mac: string): Buffer {
  return Buffer.concat([hex('86 00 0000 40 00 0708 00000000 00000000 01 01'), hex(mac)])
}

/** Where a solicitation for an address goes (RFC 4291, 2.7.1). */
export function solicited(address: string): { mac: string; six: string } {
  const last = parseBlock(address).value & 0xffffffn
  const six = formatAddress(6, parseBlock('ff02::1:ff00:0').value | last)
  return { six, mac: `33:33:ff:${last.toString(16).padStart(6, '0').match(/../g)?.join(':')}` }
}
