import { createHash } from 'node:crypto'
import { type Block, formatAddress, overlaps, parseBlock } from '#shared/network/addresses.ts'

/** The parts of a host of `provost dev` that must be unique on this machine. */
export type DevHost = { id: string; bridge: string; pools: { name: string; cidr: string; gateway: string }[] }

/** IPv4 pools are /22s (1,021 addresses to lease) of these ranges; the hash chooses the first one to try. */
const ipv4Ranges = ['10.0.0.0/8', '172.16.0.0/12', '100.64.0.0/10']
const ipv4Prefix = 22

/**
 * Derives host `number` of the state directory `state`: the same every time, without overlap with the networks in `inUse`.
 * @throws Error when no network is free
 */
export function deriveHost(state: string, number: number, inUse: Block[], families: { ipv6: boolean }): DevHost {
  const id = `dev-${number}`
  const hash = createHash('sha256').update(`${state}\0${id}`).digest()
  const ipv4 = freeIpv4(hash, inUse)
  const ipv6 = freeIpv6(hash, inUse)
  return {
    id,
    bridge: bridgeName(state, id),
    pools: [pool('ipv4', ipv4), ...(families.ipv6 ? [pool('ipv6', ipv6)] : [])],
  }
}

/** Returns an interface name of at most 15 characters (IFNAMSIZ). */
export function bridgeName(state: string, id: string): string {
  return `pv${createHash('sha256').update(`${state}\0${id}`).digest('hex').slice(0, 10)}`
}

function freeIpv4(hash: Buffer, inUse: Block[]): Block {
  const candidates = ipv4Ranges.flatMap((range) => {
    const block = parseBlock(range)
    return Array.from(
      { length: 2 ** (ipv4Prefix - block.prefix) },
      (_, i) => block.value + (BigInt(i) << BigInt(32 - ipv4Prefix)),
    )
  })
  const start = hash.readUInt32BE(0) % candidates.length
  for (let i = 0; i < candidates.length; i += 1) {
    const value = candidates[(start + i) % candidates.length] ?? 0n
    const block: Block = { family: 4, value, prefix: ipv4Prefix }
    if (!inUse.some((other) => overlaps(other, block))) return block
  }
  throw new Error('Every private IPv4 network of this machine is in use; give dev a pool of your own with --config.')
}

/** RFC 4193: fd, 40 random bits, 16 bits of subnet; here all 56 bits come from the hash. */
function freeIpv6(hash: Buffer, inUse: Block[]): Block {
  for (let i = 0; ; i += 1) {
    const bits = createHash('sha256').update(hash).update(String(i)).digest().subarray(0, 7)
    const block: Block = { family: 6, value: BigInt(`0xfd${bits.toString('hex')}`) << 64n, prefix: 64 }
    if (!inUse.some((other) => overlaps(other, block))) return block
  }
}

function pool(name: string, { family, value, prefix }: Block): DevHost['pools'][number] {
  return {
    name,
    cidr: `${formatAddress(family, value)}/${prefix}`,
    gateway: formatAddress(family, value + 1n),
  }
}
