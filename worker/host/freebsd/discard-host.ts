import type { FreebsdHost } from './freebsd-host.ts'
import { readInterfaces } from './network/interfaces.ts'
import { bridgeName } from './network/vnet.ts'
import { removeTree } from './root/remove-tree.ts'
import { destroyDataset } from './root/zfs.ts'

/** Removes what the enrolment of a host has made that is not for boot: its datasets or directories, and its bridge. */
export async function discardHost(host: FreebsdHost): Promise<void> {
  const { dataset, directory } = host.layout
  if (host.config.network.mode === 'vnet') {
    const bridge = bridgeName(host)
    const isThere = (await readInterfaces(host.run)).some(({ name }) => name === bridge)
    if (isThere) await host.run('ifconfig', [bridge, 'destroy'])
  }
  if (dataset) await destroyDataset(host, dataset)
  else await removeTree(host.run, directory)
}
