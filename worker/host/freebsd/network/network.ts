import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { bare } from '../../addresses.ts'
import { undefinedIfAbsent } from '../../files/paths.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { findByName } from '../jail/jls.ts'
import { type Interface, inetOf, readInterfaces } from './interfaces.ts'
import { destroyedHostEnd, ensureEpair, hasEpair, isOnBridge, removeEpair } from './vnet.ts'

/** The addresses that we put on an interface for a jail: they distinguish ours from the host's own. */
type Aliases = { interface: string; addresses: string[] }

/**
 * Prepares the network for the start of a jail; a running jail has all it needs. On a shared interface jail(8) itself puts the
 * addresses there; this refuses one that is the host's own, which a stop would take off the host (jail(8), interface).
 */
export async function ensureNetwork(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  if (await findByName(host, jail.name, signal)) return
  if (host.config.network.mode === 'vnet') return ensureEpair(host, jail, signal)
  const interfaces = await removeAliases(host, jail, await readInterfaces(host.run, { signal }), signal)
  const name = host.config.network.interface ?? ''
  if (!interfaces.some((each) => each.name === name))
    throw new ProvostError('host_unfit', `There is no interface ${name} on this host any more.`, {
      hint: 'Bring it back, or correct network.interface and start the worker again; ifconfig -l lists the interfaces.',
    })
  for (const address of jail.addresses) refuseTaken(interfaces, address)
  await remember(host, jail, { interface: name, addresses: jail.addresses })
}

/** Removes what `jail -r` did not: the epair, or the addresses of a jail that was removed without its file. */
export async function removeNetwork(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const running = await findByName(host, jail.name, signal)
  if (running?.path === host.layout.jail(jail.name).root) throw new ProvostError('resource_busy', `Jail ${jail.name} still runs.`)
  if (host.config.network.mode === 'vnet' && !(await destroyedHostEnd(host, jail, signal)))
    await removeEpair(host, jail, await readInterfaces(host.run, { signal }), signal)
  const ours = await remembered(host, jail)
  if (ours) await removeAliases(host, jail, await readInterfaces(host.run, { name: ours.interface, signal }), signal)
  await rm(host.layout.jail(jail.name).aliases, { force: true })
}

/** Whether the host has anything of a jail's network: the jail itself, its link, or addresses that were put on for it. */
export async function hasNetwork(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<boolean> {
  if (await findByName(host, jail.name, signal)) return true
  const interfaces = await readInterfaces(host.run, { signal })
  if (host.config.network.mode === 'vnet') return hasEpair(host, jail, interfaces)
  return addressesLeft(await remembered(host, jail), interfaces).length > 0
}

/** Returns the jails whose link is gone, not on the bridge, or not up; on a shared interface, those that lack an address of theirs. */
export async function unlinkedJails(host: FreebsdHost, jails: JailSpec[]): Promise<Set<string>> {
  if (jails.length === 0) return new Set()
  const interfaces = await readInterfaces(host.run)
  const isLinked = host.config.network.mode === 'vnet' ? isOnBridge : hasAddresses
  return new Set(jails.flatMap((jail) => (isLinked(host, jail, interfaces) ? [] : [jail.name])))
}

function hasAddresses({ config }: FreebsdHost, jail: JailSpec, interfaces: Interface[]): boolean {
  const shared = interfaces.find(({ name }) => name === config.network.interface)
  return jail.addresses.every((address) => shared?.addresses.some((each) => bare(each) === bare(address)))
}

/** Returns the interfaces as they are afterwards. */
async function removeAliases(
  host: FreebsdHost,
  jail: JailSpec,
  interfaces: Interface[],
  signal: AbortSignal,
): Promise<Interface[]> {
  const ours = await remembered(host, jail)
  const on = ours && interfaces.find(({ name }) => name === ours.interface)
  const left = addressesLeft(ours, interfaces)
  for (const address of left) await host.run('ifconfig', [on?.name ?? '', inetOf(address), bare(address), '-alias'], { signal })
  return left.length > 0 ? readInterfaces(host.run, { signal }) : interfaces
}

function addressesLeft(ours: Aliases | undefined, interfaces: Interface[]): string[] {
  const on = interfaces.find(({ name }) => name === ours?.interface)
  return on?.addresses.filter((address) => ours?.addresses.some((each) => bare(each) === bare(address))) ?? []
}

function refuseTaken(interfaces: Interface[], address: string): void {
  const taker = interfaces.find(({ addresses }) => addresses.some((each) => bare(each) === bare(address)))
  if (!taker) return
  throw new ProvostError('address_taken', `${bare(address)} is on ${taker.name} of this host already.`, {
    hint: 'Put it into exclude of the pool: a jail that has it would take it off the host when it stops.',
  })
}

/** Called before any of them is put there: after a crash it is known whose they are. */
async function remember(host: FreebsdHost, jail: JailSpec, aliases: Aliases): Promise<void> {
  const { directory, aliases: path } = host.layout.jail(jail.name)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, JSON.stringify(aliases), { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}

async function remembered(host: FreebsdHost, jail: JailSpec): Promise<Aliases | undefined> {
  const text = await readFile(host.layout.jail(jail.name).aliases, 'utf8').catch(undefinedIfAbsent)
  return text === undefined ? undefined : JSON.parse(text)
}
