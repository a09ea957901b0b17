import { existsSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { type Block, parseBlock } from '#shared/network/addresses.ts'

/** Returns the networks that this machine has addresses in or routes to, without those of the interfaces in `except`. */
export function networksInUse(except: string[]): Block[] {
  const own = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    except.includes(name) ? [] : addresses.flatMap(({ cidr }) => (cidr ? [parseBlock(cidr)] : [])),
  )
  return [...own, ...readRoutes('/proc/net/route', ipv4Routes, except), ...readRoutes('/proc/net/ipv6_route', ipv6Routes, except)]
}

/** Whether the kernel supports IPv6. */
export function hasIpv6(): boolean {
  return existsSync('/proc/net/if_inet6')
}

type Route = { device: string; block: Block }

/** Parses /proc/net/route: the device first, network and mask as little-endian hex. */
export function ipv4Routes(text: string): Route[] {
  return rows(text)
    .slice(1)
    .map(([device = '', destination = '', , , , , , mask = '']) => {
      const bits = [...reverseBytes(mask).toString(2)].filter((bit) => bit === '1').length
      return { device, block: { family: 4, value: reverseBytes(destination), prefix: bits } }
    })
}

/** Parses /proc/net/ipv6_route: the network and its prefix length in hex first, the device last. */
export function ipv6Routes(text: string): Route[] {
  return rows(text).map((fields) => ({
    device: fields.at(-1) ?? '',
    block: { family: 6, value: BigInt(`0x${fields[0]}`), prefix: Number.parseInt(fields[1] ?? '0', 16) },
  }))
}

function readRoutes(path: string, parse: (text: string) => Route[], except: string[]): Block[] {
  if (!existsSync(path)) return []
  const routes = parse(readFileSync(path, 'utf8'))
  // A default route leads everywhere and is no network of this machine.
  return routes.filter(({ device, block }) => block.prefix > 0 && !except.includes(device)).map(({ block }) => block)
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/))
}

function reverseBytes(hex: string): bigint {
  return BigInt(`0x${hex.match(/../g)?.reverse().join('') || '0'}`)
}
