import { formatAddress, networkOf, parseBlock } from '#shared/network/addresses.ts'
import { readOfProcess } from '../processes/processes.ts'

/** The network that a process is in: its interfaces, and all addresses on them in CIDR form. */
type SeenNetwork = { interfaces: string[]; addresses: string[] }

/** Reads /proc/PID/net, which shows the namespace of that process; no program has to enter it. */
export function readNetwork(pid: number): SeenNetwork {
  const read = (file: string) => readOfProcess(pid, `net/${file}`) ?? ''
  return {
    interfaces: [...read('dev').matchAll(/^\s*([^\s:]+):/gm)].map(([, name]) => name ?? ''),
    addresses: [...addresses4(read('fib_trie'), read('route')), ...addresses6(read('if_inet6'))],
  }
}

/** In the routing trie `/32 host LOCAL` follows each local address; the connected routes of the table have its prefix. */
export function addresses4(trie: string, routes: string): string[] {
  const local = [...trie.matchAll(/\|-- (\S+)\n\s+\/32 host LOCAL/g)].map(([, address]) => address ?? '')
  const connected = routes
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .filter(([, , gateway]) => gateway === '00000000')
    .map(([, network = '', , , , , , mask = '']) => ({ network: fromHex(network), prefix: onesIn(fromHex(mask)) }))
  return [...new Set(local)].map((address) => {
    const block = parseBlock(address)
    const route = connected.find(({ network, prefix }) => networkOf({ ...block, prefix }) === network)
    return `${address}/${route?.prefix ?? 32}`
  })
}

/** `text` has lines of `ADDRESS INDEX PREFIX SCOPE FLAGS NAME`, all but the name in hexadecimal. */
function addresses6(text: string): string[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(/\s+/))
    .map(([address = '', , prefix = '']) => `${formatAddress(6, BigInt(`0x${address}`))}/${Number.parseInt(prefix, 16)}`)
}

/** /proc/net/route has the bytes of an address in the order of the CPU: the last first. */
function fromHex(text: string): bigint {
  return BigInt(`0x${text.match(/../g)?.reverse().join('') || '0'}`)
}

function onesIn(mask: bigint): number {
  return mask.toString(2).replaceAll('0', '').length
}
