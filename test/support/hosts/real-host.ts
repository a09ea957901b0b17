import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { layoutOf } from '../../../worker/host/linux/layout.ts'
import { enrolOnDisk } from '../fleets/enrol-on-disk.ts'
import { type HostSnapshot, hostSnapshot } from './host-snapshot.ts'

type Settings = {
  host: string
  /** Of the test's own: its files are in it. */
  directory: string
  /** Where the secrets of its fleet's producer are; its own directory otherwise. */
  fleet?: string
  root?: string
  bridge: string
  /** The first three parts of its addresses. */
  network: string
  worlds?: object[]
  /** Laid over the worker's YAML. */
  over?: Record<string, unknown>
}

/** The configuration of a worker whose host has real jails, and what the worker leaves there. */
export async function realHost({
  host,
  directory,
  bridge,
  network,
  fleet = directory,
  over,
  worlds = [],
  root = join(directory, 'host'),
}: Settings) {
  const bin = join(directory, 'bin')
  mkdirSync(bin, { recursive: true })
  const config = {
    host,
    identity: enrolOnDisk(fleet, host),
    root,
    // Programs in `bin` come first: a test puts one there to make a command wait.
    commandPath: `${bin}:/sbin:/bin:/usr/sbin:/usr/bin`,
    network: { mode: 'vnet', bridge, pools: [{ name: 'test', cidr: `${network}.0/24`, gateway: `${network}.1` }] },
    capacity: { jails: 100, memory: '64G', cpu: 100 },
    defaults: { memory: '64M', cpu: 0.2, processes: 50 },
    worlds: [{ name: 'busybox', method: 'busybox', prefill: true }, ...worlds],
    ...over,
  }
  const file = join(directory, 'worker.yaml')
  await writeFile(file, stringify(config))
  return {
    bin,
    root,
    bridge,
    config,
    file,
    /** What this host has on the machine, as process `seenBy` sees it: mounts, links, namespaces, cgroups, directories, processes. */
    snapshot(seenBy?: number): HostSnapshot {
      const { runDirectory, filters, cgroupParent } = layoutOf(root)
      const marks = [root, runDirectory, filters, cgroupParent, bridge]
      const isOurs = (line: string) => marks.some((mark) => line.includes(mark)) && !/main\.ts|worlds|journal/.test(line)
      return hostSnapshot([root], isOurs, seenBy)
    },
  }
}
