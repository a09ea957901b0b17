import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { pids, readProc } from '../proc.ts'

/** All that a jail could leave on a Linux host, as lines to compare. */
export type HostSnapshot = {
  mounts: string[]
  links: string[]
  /** The tables of nft(8). */
  filters: string[]
  namespaces: string[]
  cgroups: string[]
  directories: string[]
  processes: string[]
}

/**
 * What is on this machine now. Other work may go on beside a test, so `isOurs` says which lines count: by a part that only
 * this test's host can have in it (its root, its tag, its bridge), or all of them. `seenBy`: a process whose mounts and links
 * are meant, where those are not this one's.
 */
export function hostSnapshot(
  directories: string[],
  isOurs: (line: string) => boolean = () => true,
  seenBy: number | 'self' = 'self',
): HostSnapshot {
  const mountinfo = linesOf(`/proc/${seenBy}/mountinfo`)
  const sys = seenBy === 'self' ? '/sys' : `/proc/${seenBy}/root/sys`
  const only = (lines: string[]) => lines.filter(isOurs).sort()
  return {
    mounts: only(mountinfo.map((line) => line.split(' ').slice(3).join(' '))),
    links: only(readdirSync(`${sys}/class/net`).map((name) => `${name} ${masterOf(`${sys}/class/net/${name}`)}`)),
    filters: only(filtersSeenBy(seenBy)),
    namespaces: only(['/run/netns', ...below('/run', 'provost-')].flatMap((directory) => treeOf(directory))),
    cgroups: only([...new Set(cgroupPoints().flatMap((point) => treeOf(point, 3)))]),
    directories: only(directories.flatMap((directory) => treeOf(directory, 3))),
    processes: only(pids().flatMap(describe)),
  }
}

function filtersSeenBy(pid: number | 'self'): string[] {
  const enter = pid === 'self' ? [] : ['nsenter', `--target=${pid}`, '--net']
  const [program = '', ...args] = [...enter, 'nft', 'list', 'tables', 'netdev']
  return quietly(() => execFileSync(program, args, { encoding: 'utf8' }), '')
    .split('\n')
    .filter(Boolean)
}

function cgroupPoints(): string[] {
  return linesOf('/proc/self/mountinfo')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
}

/** Directories below one, and files too unless it is one of the kernel's own. */
function treeOf(directory: string, depth = 4): string[] {
  const isKernels = directory.startsWith('/sys/')
  const entries = quietly(() => readdirSync(directory, { withFileTypes: true }), [])
  return entries
    .filter((entry) => entry.isDirectory() || !isKernels)
    .flatMap((entry) => {
      const path = join(directory, entry.name)
      // Whose range of ids it is stands in the link.
      if (entry.isSymbolicLink()) return [`${path} -> ${quietly(() => readlinkSync(path), '')}`]
      return [path, ...(entry.isDirectory() && depth > 1 ? treeOf(path, depth - 1) : [])]
    })
}

function below(directory: string, prefix: string): string[] {
  return quietly(() => readdirSync(directory), [])
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(directory, name))
}

/** A process with what tells whose it is: its cgroups and the mark that the worker's commands carry. Kernel threads do not count. */
function describe(pid: number): string[] {
  const [command, cgroups] = [readProc(pid, 'cmdline'), readProc(pid, 'cgroup')]
  if (command === '') return []
  const mark =
    readProc(pid, 'environ')
      .split('\0')
      .find((entry) => entry.startsWith('PROVOST_WORKER=')) ?? ''
  return [`${pid} ${command.replaceAll('\0', ' ').trim()} ${[...new Set(cgroups.match(/\/\S*/g))].join(' ')} ${mark}`]
}

function masterOf(link: string): string {
  return quietly(() => readlinkSync(`${link}/master`).split('/').at(-1) ?? '', '')
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n').filter(Boolean)
}

// Cgroups and links go away while they are being read.
function quietly<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch {
    return otherwise
  }
}
