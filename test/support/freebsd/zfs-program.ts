import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Answer, type Dataset, failed, type Kernel, notKnown, type Program } from './kernel.ts'

/** zfs(8): datasets are directories, a snapshot is a copy below `store`. */
export function zfsProgram(kernel: Kernel, store: string): Program {
  return ([verb, ...args]) => {
    switch (verb) {
      case 'get':
        return get(kernel, args)
      case 'list':
        return list(kernel, args)
      case 'create':
        return create(kernel, args)
      case 'mount':
        return mount(kernel, args[0] ?? '')
      case 'snapshot':
        return snapshot(kernel, store, args[0] ?? '')
      case 'clone':
        return clone(kernel, args)
      case 'rename':
        return rename(kernel, args)
      case 'destroy':
        return destroy(kernel, args)
      default:
        return notKnown(`zfs ${verb}`)
    }
  }
}

const absent = (name: string) => failed(`cannot open '${name}': dataset does not exist`)

function get(kernel: Kernel, args: string[]): Answer {
  const [h, o, value, property = '', name = ''] = args
  if (h !== '-H' || o !== '-o' || value !== 'value') return notKnown(`zfs get ${args.join(' ')}`)
  if (name.includes('@')) return kernel.snapshots.has(name) ? { stdout: 'snapshot\n' } : absent(name)
  const dataset = kernel.datasets.get(name)
  if (!dataset) return absent(name)
  const values: Record<string, string> = {
    type: 'filesystem',
    origin: dataset.origin ?? '-',
    mountpoint: dataset.mountpoint,
    mounted: dataset.mounted ? 'yes' : 'no',
    quota: dataset.quota ?? '0',
  }
  return property in values ? { stdout: `${values[property]}\n` } : notKnown(`the property ${property}`)
}

function list(kernel: Kernel, args: string[]): Answer {
  const name = args.at(-1) ?? ''
  if (!kernel.datasets.has(name)) return absent(name)
  const names = [...kernel.datasets.keys()].filter((each) => each === name || (args.includes('-d') && dirname(each) === name))
  return { stdout: names.map((each) => `${each}\n`).join('') }
}

function create(kernel: Kernel, args: string[]): Answer {
  const name = args.at(-1) ?? ''
  const parent = dirname(name)
  if (kernel.datasets.has(name)) return args[0] === '-p' ? {} : failed(`cannot create '${name}': dataset already exists`)
  if (!kernel.datasets.has(parent)) {
    if (args[0] !== '-p' || !parent.includes('/')) return failed(`cannot create '${name}': parent does not exist`)
    create(kernel, ['-p', parent])
  }
  add(kernel, name, {})
  return mountMade(kernel, name)
}

/** Mounts what was made; that it cannot is only said. The directory to mount on is in the parent's file system. */
function mountMade(kernel: Kernel, name: string): Answer {
  const dataset = kernel.datasets.get(name)
  if (!kernel.poolFull || !dataset) return {}
  dataset.mounted = false
  unmount(kernel, dataset.mountpoint)
  rmSync(dataset.mountpoint, { recursive: true })
  return { stderr: `cannot mount '${dataset.mountpoint}': failed to create mountpoint: No space left on device\n` }
}

function add(kernel: Kernel, name: string, more: Partial<Dataset>): Dataset {
  const mountpoint = join(kernel.datasets.get(dirname(name))?.mountpoint ?? '/nonexistent', name.slice(name.lastIndexOf('/') + 1))
  const dataset = { mountpoint, mounted: true, ...more }
  kernel.datasets.set(name, dataset)
  mkdirSync(mountpoint, { recursive: true })
  kernel.mounts.push({ device: name, point: mountpoint, fsType: 'zfs' })
  return dataset
}

function mount(kernel: Kernel, name: string): Answer {
  const dataset = kernel.datasets.get(name)
  if (!dataset) return absent(name)
  if (dataset.mounted) return failed(`cannot mount '${name}': filesystem already mounted`)
  dataset.mounted = true
  kernel.mounts.push({ device: name, point: dataset.mountpoint, fsType: 'zfs' })
  return {}
}

function snapshot(kernel: Kernel, store: string, name: string): Answer {
  const [of = ''] = name.split('@')
  const dataset = kernel.datasets.get(of)
  if (!dataset) return absent(of)
  if (kernel.snapshots.has(name)) return failed(`cannot create snapshot '${name}': dataset already exists`)
  const copy = join(store, `${kernel.snapshots.size}-${Date.now()}`)
  cpSync(dataset.mountpoint, copy, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
  kernel.snapshots.set(name, copy)
  return {}
}

function clone(kernel: Kernel, args: string[]): Answer {
  const [source = '', name = ''] = args.slice(-2)
  const options = args.slice(0, -2)
  const copy = kernel.snapshots.get(source)
  if (!copy) return absent(source)
  if (kernel.datasets.has(name)) return failed(`cannot create '${name}': dataset already exists`)
  const quota = options[0] === '-o' ? options[1]?.replace(/^quota=/, '') : undefined
  if (options.length > 0 && !options[1]?.startsWith('quota=')) return notKnown(`zfs clone ${options.join(' ')}`)
  const dataset = add(kernel, name, { origin: source, ...(quota ? { quota } : {}) })
  cpSync(copy, dataset.mountpoint, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
  return mountMade(kernel, name)
}

function rename(kernel: Kernel, [from = '', to = '']: string[]): Answer {
  const dataset = kernel.datasets.get(from)
  if (!dataset) return absent(from)
  if (kernel.datasets.has(to)) return failed(`cannot rename '${from}': dataset already exists`)
  if (isBusy(kernel, from)) return failed(`cannot unmount '${dataset.mountpoint}': pool or dataset is busy`)
  unmount(kernel, dataset.mountpoint)
  const before = dataset.mountpoint
  kernel.datasets.delete(from)
  rmSync(join(dirname(before), to.slice(to.lastIndexOf('/') + 1)), { recursive: true, force: true })
  const place = join(kernel.datasets.get(dirname(to))?.mountpoint ?? '', to.slice(to.lastIndexOf('/') + 1))
  renameSync(before, place)
  add(kernel, to, dataset.origin ? { origin: dataset.origin } : {})
  for (const [name, copy] of [...kernel.snapshots])
    if (name.startsWith(`${from}@`)) {
      kernel.snapshots.delete(name)
      kernel.snapshots.set(`${to}@${name.split('@')[1]}`, copy)
    }
  return mountMade(kernel, to)
}

function destroy(kernel: Kernel, args: string[]): Answer {
  if (args.includes('-R')) return notKnown('zfs destroy -R: it would take the jails with their world')
  const name = args.at(-1) ?? ''
  const dataset = kernel.datasets.get(name)
  if (!dataset) return absent(name)
  const dependents = [...kernel.datasets].filter(([, { origin }]) => origin?.startsWith(`${name}@`)).map(([each]) => each)
  if (dependents.length > 0)
    return failed(
      `cannot destroy '${name}': filesystem has dependent clones\nuse '-R' to destroy the following datasets:\n${dependents.join('\n')}`,
    )
  if (args.includes('-n')) return {}
  for (const child of [...kernel.datasets.keys()]
    .filter((each) => each.startsWith(`${name}/`))
    .sort()
    .reverse()) {
    if (!args.includes('-r')) return failed(`cannot destroy '${name}': filesystem has children`)
    const answer = destroy(kernel, ['destroy', '-r', child])
    if (answer.exitCode) return answer
  }
  if (isBusy(kernel, name)) return failed(`cannot unmount '${dataset.mountpoint}': pool or dataset is busy`)
  unmount(kernel, dataset.mountpoint)
  kernel.datasets.delete(name)
  for (const [each, copy] of [...kernel.snapshots])
    if (each.startsWith(`${name}@`)) {
      rmSync(copy, { recursive: true, force: true })
      kernel.snapshots.delete(each)
    }
  rmSync(dataset.mountpoint, { recursive: true, force: true })
  return {}
}

/** A mount below, a jail in it, up or dying, or whatever a test says. */
function isBusy(kernel: Kernel, name: string): boolean {
  const times = kernel.busyDatasets.get(name) ?? 0
  if (times > 0) kernel.busyDatasets.set(name, times - 1)
  const { mountpoint = '' } = kernel.datasets.get(name) ?? {}
  const isBelow = (path: string) => path === mountpoint || path.startsWith(`${mountpoint}/`)
  const inUse = [...kernel.jails.values()].some(({ path }) => isBelow(path))
  return times > 0 || inUse || kernel.mounts.some(({ point }) => point !== mountpoint && isBelow(point))
}

function unmount(kernel: Kernel, point: string): void {
  kernel.mounts = kernel.mounts.filter((mount) => mount.point !== point)
}
