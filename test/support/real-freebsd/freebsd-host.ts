import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { layoutOf } from '../../../worker/host/freebsd/layout.ts'
import { must, output } from './ask-host.ts'
import { makeDisk, type Storage } from './disk.ts'
import { fillRescueTree } from './rescue-tree.ts'

export type Settings = {
  host?: string
  storage: Storage
  mode: 'shared' | 'vnet'
  /** Of its disk, as mdconfig(8) takes it. */
  size?: string
  /** More files of its world `tiny`. */
  scripts?: Record<string, string>
  worlds?: object[]
  /** Laid over the worker's YAML. */
  over?: Record<string, unknown>
}

/** What a jail could leave on a FreeBSD host, as lines to compare. */
export type FreebsdSnapshot = Record<'jails' | 'mounts' | 'links' | 'rules' | 'datasets' | 'files', string[]>

export type RealFreebsd = ReturnType<typeof realFreebsd>

/**
 * The configuration of a worker on this FreeBSD host that has a disk, an interface or a bridge, and addresses of its own. Whoever takes
 * it closes it when its jails are gone.
 */
export function realFreebsd({ host = 'bsd1', storage, mode, size, scripts, worlds = [], over }: Settings) {
  const tag = randomBytes(3).toString('hex')
  const third = Number.parseInt(tag.slice(0, 2), 16)
  const disk = makeDisk(storage, tag, size)
  const tree = fillRescueTree(join(disk.directory, 'tree'), scripts)
  // Of an interface of their own in shared mode, too: it is nobody's else, and leads nowhere.
  const wire = must('ifconfig', 'epair', 'create').trim()
  must('ifconfig', wire, 'up')
  must('ifconfig', wire, 'inet6', '-ifdisabled')
  const link = mode === 'vnet' ? `pvt${tag}` : wire
  const config = {
    host,
    runtime: 'freebsd',
    root: disk.root,
    network: {
      mode,
      ...(mode === 'vnet' ? { bridge: link } : { interface: link }),
      pools: [
        { name: 'four', cidr: `10.213.${third}.0/24`, gateway: `10.213.${third}.1` },
        { name: 'six', cidr: `fd00:213:${third}::/64`, gateway: `fd00:213:${third}::1` },
      ],
    },
    capacity: { jails: 300, memory: '64G', cpu: 100, ...(storage === 'zfs' ? { disk: '64G' } : {}) },
    defaults: { memory: '128M', cpu: 1, processes: 50 },
    worlds: [{ name: 'tiny', method: 'tree', path: tree, prefill: true }, ...worlds],
    ...over,
  }
  const file = join(disk.directory, 'worker.yaml')
  writeFileSync(file, stringify(config))
  const layout = layoutOf(join(disk.directory, 'host'), storage === 'zfs' ? disk.root : undefined)
  const lines = (text: string) => text.split('\n').filter(Boolean)
  const has = (part: string) => (line: string) => line.includes(part)

  return {
    config,
    file,
    tag,
    third,
    disk,
    layout,
    /** The bridge, or the interface that jails share. */
    link,
    /** What its jails have on the host now, in an order that does not change. */
    snapshot(): FreebsdSnapshot {
      const { roots, jails, boot } = layout
      const ours = lines(output('jls', '-d', 'name', 'path')).filter(has(roots))
      return {
        jails: ours.map((line) => line.split(' ')[0] ?? '').sort(),
        mounts: lines(output('mount', '-p'))
          .filter(has(`${roots}/`))
          .sort(),
        links: [
          ...lines(output('ifconfig', '-l'))
            .flatMap((line) => line.split(' '))
            .filter((name) => /^(pv|epair)/.test(name)),
          ...lines(output('ifconfig', link)).filter((line) => /^\s+(inet|member:)/.test(line) && !/ fe80:/.test(line)),
        ].sort(),
        rules: lines(output('rctl')).sort(),
        datasets: disk.datasets(),
        files: [roots, jails, boot].flatMap((path) => namesIn(path).map((name) => join(path, name))).sort(),
      }
    },
    /** Takes away all that it has of its own; jails that are left are ended first. */
    close(): void {
      for (const line of lines(output('jls', 'jid', 'path')).filter(has(layout.roots))) {
        const [jid = '', root = ''] = line.split(' ')
        output('jail', '-R', jid)
        output('umount', '-f', join(root, 'dev'))
      }
      if (mode === 'vnet') output('ifconfig', link, 'destroy')
      output('ifconfig', wire, 'destroy')
      disk.remove()
    },
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
