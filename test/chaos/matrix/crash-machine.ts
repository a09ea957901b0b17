import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { layoutOf } from '../../../worker/host/linux/layout.ts'
import { whyNoFreebsdJails, whyNoHostTests } from '../../support/hosts/host-fitness.ts'
import { hostSnapshot } from '../../support/hosts/host-snapshot.ts'
import { realHost } from '../../support/hosts/real-host.ts'
import { must } from '../../support/real-freebsd/ask-host.ts'
import { realFreebsd } from '../../support/real-freebsd/freebsd-host.ts'
import { keepHostFiles } from '../../support/real-freebsd/host-files.ts'
import { fillRescueTree } from '../../support/real-freebsd/rescue-tree.ts'

export const isFreebsd = process.platform === 'freebsd'
/** Why there can be no hosts for crashes here. */
export const whyNoCrashes = isFreebsd ? whyNoFreebsdJails : whyNoHostTests
/** The world that jails are made of, which a host fills by itself, and the ones that the fills are tried on. */
export const plainWorld = isFreebsd ? 'tiny' : 'busybox'
export const filledWorlds = isFreebsd ? ['tree', 'archive'] : ['busybox2', 'tree', 'archive']
/** The command that runs into a jail's own one: its program, with its verb. */
export const enter = isFreebsd ? 'daemon' : 'perl start runc exec'

export type Snapshot = Record<string, string[]>
export type CrashMachine = Awaited<ReturnType<typeof linuxMachine>>

type Settings = {
  host: string
  directory: string
  bridge: string
  network: string
  worlds: object[]
  over: Record<string, unknown>
}

/** Where crashes are tried: the file of a host's worker, what it has on this machine, and how it is taken away. */
export const crashMachine = (settings: Settings): Promise<CrashMachine> =>
  isFreebsd ? freebsdMachine(settings) : linuxMachine(settings)

async function linuxMachine(settings: Settings) {
  const real = await realHost(settings)
  const layout = layoutOf(real.root)
  const aside = [join(layout.root, 'worlds'), join(layout.root, 'journal')]
  return {
    file: real.file,
    /** It has the worlds and the journal. */
    directory: layout.root,
    worlds: layout.worlds,
    /** All that this host has on the machine beside its worlds and its journal. `jails`: names whose links count. */
    snapshot(jails: string[]): Snapshot {
      const links = jails.map((name) => layout.jail(name).veth)
      const marks = [layout.root, layout.runDirectory, layout.filters, layout.cgroupParent, real.bridge, ...links]
      const isOurs = (line: string) => marks.some((mark) => line.includes(mark)) && !aside.some((path) => line.startsWith(path))
      return hostSnapshot([layout.root], isOurs)
    },
    removeWorlds: (world: string): void => {
      for (const name of filled(layout.worlds, world)) rmSync(join(layout.worlds, name), { recursive: true })
    },
    close: (): void => undefined,
  }
}

async function freebsdMachine({ host, worlds, over }: Settings): Promise<CrashMachine> {
  const restore = keepHostFiles()
  const real = realFreebsd({ host, storage: 'zfs', mode: 'vnet', worlds, over })
  const { directory, worlds: place, dataset } = real.layout
  return {
    file: real.file,
    directory,
    worlds: place,
    snapshot: real.snapshot,
    removeWorlds(world) {
      for (const name of filled(place, world)) must('zfs', 'destroy', '-r', `${dataset}/worlds/${name}`)
    },
    close() {
      real.close()
      restore()
    },
  }
}

const filled = (worlds: string, world: string) => readdirSync(worlds).filter((name) => name.startsWith(`${world}-`))

/** Fills an empty directory with a world that has an /etc/rc. */
export function fillCrashTree(tree: string): void {
  if (isFreebsd) return void fillRescueTree(tree, { 'etc/rc': '#!/bin/sh\necho started\n' })
  const script = `mkdir -p bin etc dev proc sys tmp && busybox cp /proc/self/exe bin/busybox && ln -s busybox bin/sh && echo 'echo started' > etc/rc`
  spawnSync('sh', ['-c', script], { cwd: tree })
}
