import { familyOf } from '#shared/network/addresses.ts'
import { bare, canonical, sameAddresses } from '../../addresses.ts'
import { type Finding, some } from '../../jails/proofs.ts'
import { type Interface, readInterfaces } from '../network/interfaces.ts'
import { bridgeName } from '../network/vnet.ts'
import { differing, type Subject } from './subject.ts'

/** It has the leased addresses and no other, on the right interface. */
export function proveAddresses(subject: Subject): Promise<Finding> {
  return subject.host.config.network.mode === 'vnet' ? proveOwnNetwork(subject) : proveShared(subject)
}

async function proveShared({ host, jail, actual, signal }: Subject): Promise<Finding> {
  const faults = differing(actual, { vnet: 'inherit' })
  for (const family of [4, 6] as const) {
    const asked = jail.addresses.filter((address) => familyOf(address) === family).map(bare)
    const seen = [actual[`ip${family}.addr`] ?? []].flat().filter(Boolean).map(bare)
    // The kernel says `disable` of a family with addresses of its own, too (seen on 15.1); `inherit` gives it all of the host's.
    const isOwn = asked.length > 0 && actual[`ip${family}`] === 'new'
    if (!isOwn) faults.push(...differing(actual, { [`ip${family}`]: 'disable' }))
    if (!sameAddresses(asked, seen))
      faults.push(`has the IPv${family} addresses ${some(seen) || 'none'} and not ${asked.join(', ') || 'none'}`)
  }
  const name = host.config.network.interface ?? ''
  // Without the alias the kernel would still count the address as the jail's, and nobody could reach it.
  const on = (await readInterfaces(host.run, { signal })).filter((each) => each.name === name).flatMap((each) => each.addresses)
  const missing = jail.addresses.map(canonical).filter((address) => !on.map(canonical).includes(address))
  if (missing.length > 0) faults.push(`${missing.join(', ')} is not on ${name}`)
  return { faults, fine: `has ${jail.addresses.join(', ')} on ${name} and no other` }
}

/** ifconfig(8) -j is the host's own program; it is a process of the jail while it looks (jail_attach(2)), with no file but its outputs. */
async function proveOwnNetwork({ host, jail, jid, actual, signal }: Subject): Promise<Finding> {
  const { hostEnd, jailEnd } = host.layout.jail(jail.name)
  const faults = differing(actual, { vnet: 'new' })
  const inside = await readInterfaces(host.run, { jid, signal })
  const foreign = inside.filter((each) => each.name !== jailEnd && !isJails(each)).map(({ name }) => name)
  if (foreign.length > 0) faults.push(`has the interfaces ${some(foreign)}, which are not its own`)
  const seen = inside
    .filter((each) => !isJails(each))
    .flatMap(({ addresses }) => addresses)
    .filter((address) => !address.startsWith('fe80:'))
  if (!sameAddresses(seen, jail.addresses)) faults.push(`has ${some(seen) || 'no address'} and not ${jail.addresses.join(', ')}`)
  const bridge = (await readInterfaces(host.run, { signal })).find(({ name }) => name === bridgeName(host))
  if (!bridge?.members.includes(hostEnd)) faults.push(`its link ${hostEnd} is not on the bridge`)
  return { faults, fine: `has ${some(seen)} on a link of its own and no interface of the host` }
}

/**
 * Whether root in the jail may have cloned an interface there (lo, tun, wg, bridge: ifconfig(8)): those have a group; a card of
 * the host has none. An epair has one too, but its other end may be anywhere.
 */
function isJails({ groups }: Interface): boolean {
  return groups.length > 0 && !groups.includes('epair')
}
