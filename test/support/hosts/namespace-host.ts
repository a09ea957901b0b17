import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { layoutOf } from '../../../worker/host/linux/layout.ts'
import { detectCgroups, removeCgroup } from '../../../worker/host/linux/limits/cgroups.ts'
import { releaseRanges } from '../../../worker/host/linux/root/id-range.ts'
import { killProcess } from '../../../worker/host/programs/end-processes.ts'
import { pids, readProc } from '../proc.ts'
import { endWithTests } from '../processes.ts'
import { startTcpProxy } from '../redis/tcp-proxy.ts'
import { until } from '../until.ts'
import { realHost } from './real-host.ts'

type Settings = {
  name: string
  directory: string
  /** Where the secrets of its fleet's producer are. */
  fleet: string
  /** Of its link on the machine, at most 15 characters. */
  link: string
  /** The first three parts of the link's addresses, and which of the network's blocks of four this host has. */
  uplink: { network: string; block: number }
  redis: URL
  bridge: string
  network: string
}

export type NamespaceHost = Awaited<ReturnType<typeof namespaceHost>>

/**
 * A host of its own on this machine: a network and mounts that no other has, and one link, at whose end a proxy to Redis
 * listens, which can fall silent. They last as long as a process that keeps them.
 */
export async function namespaceHost({ name, directory, fleet, link, uplink, redis, bridge, network }: Settings) {
  mkdirSync(directory, { recursive: true })
  const host = await realHost({ host: name, directory, fleet, bridge, network })
  const keeper = await startKeeper(directory)
  const pid = keeper.pid ?? 0
  const [outer, inner] = [1, 2].map((last) => `${uplink.network}.${uplink.block * 4 + last}`) as [string, string]

  async function remove(): Promise<void> {
    const { runDirectory, cgroupParent, ranges } = layoutOf(host.root)
    const isOurs = (pid: number) => marksOf(pid).some((mark) => mark.includes(cgroupParent) || mark.endsWith(host.root))
    await until('the processes of the host to be gone', async () => {
      const left = pids().filter(isOurs)
      for (const pid of left) killProcess(pid, 'SIGKILL')
      return left.length === 0
    })
    // Before its other end goes away by itself, some time after the namespace does.
    if (existsSync(`/sys/class/net/${link}`)) execFileSync('ip', ['link', 'delete', 'dev', link])
    const exited = once(keeper, 'exit')
    if (keeper.exitCode === null && keeper.signalCode === null && keeper.kill('SIGKILL')) await exited
    const cgroups = detectCgroups()
    await until('the cgroups of the host to be gone', async () => {
      const below = cgroups.points.flatMap((point) => directoriesOf(join(point, cgroupParent)))
      for (const jail of new Set(below)) removeCgroup(cgroups, `${cgroupParent}/${jail}`)
      return removeCgroup(cgroups, cgroupParent)
    })
    rmSync(runDirectory, { recursive: true, force: true })
    releaseRanges({ ranges }, (jail) => jail.startsWith(host.root))
  }

  try {
    execFileSync('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', `${pid}`])
    execFileSync('ip', ['address', 'add', `${outer}/30`, 'dev', link])
    execFileSync('ip', ['link', 'set', link, 'up'])
    enter('ip', 'address', 'add', `${inner}/30`, 'dev', 'uplink')
    enter('ip', 'link', 'set', 'uplink', 'up')
  } catch (error) {
    await remove()
    throw error
  }
  const proxy = await startTcpProxy(outer, { host: redis.hostname, port: Number(redis.port) })

  /** Runs a program on the host, and returns what it printed. */
  function enter(program: string, ...args: string[]): string {
    return execFileSync('nsenter', [`--target=${pid}`, '--net', '--mount', program, ...args], { encoding: 'utf8' })
  }

  return {
    ...host,
    name,
    proxy,
    redisUrl: `redis://${outer}:${proxy.port}`,
    /** What becomes a process of this host. */
    entered: ['nsenter', `--target=${pid}`, '--net', '--mount'],
    snapshot: () => host.snapshot(pid),
    /** What is left of it on the machine after `remove`. */
    remains: () => host.snapshot(),
    /** The address of each jail's link that there is, by the name of the jail: as the kernel has it, not as records say. */
    addresses(): Map<string, string> {
      const { networks } = layoutOf(host.root)
      const entries = directoryEntries(networks).map((jail): [string, string] => {
        const lines = enter('nsenter', `--net=${join(networks, jail)}`, 'ip', '-oneline', '-4', 'address', 'show', 'dev', 'eth0')
        return [jail, /inet (\S+)/.exec(lines)?.[1] ?? '']
      })
      return new Map(entries)
    },
    /** The names of jails that have processes here. */
    running(): string[] {
      const { cgroupParent } = layoutOf(host.root)
      const marks = pids().flatMap(marksOf)
      return [...new Set(marks.flatMap((mark) => new RegExp(`${cgroupParent}/([^/:]+)`).exec(mark)?.[1] ?? []))].sort()
    },
    async remove(): Promise<void> {
      await proxy.close()
      await remove()
    },
  }
}

async function startKeeper(directory: string): Promise<ChildProcess> {
  const aside = join(directory, 'cgroups')
  mkdirSync(aside)
  const script = join(import.meta.dirname, 'enter-host.sh')
  const keeper = spawn('unshare', ['--net', '--mount', '--propagation', 'slave', 'sh', script, aside], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  endWithTests(keeper)
  const [said] = await Promise.race([once(keeper.stdout, 'data'), once(keeper, 'exit')])
  if (`${said}`.trim() !== 'ready') throw new Error(`No namespaces for a host: exit code ${said}.`)
  return keeper
}

/** The cgroups of a process, and the worker that started it. */
function marksOf(pid: number): string[] {
  const worker = readProc(pid, 'environ')
    .split('\0')
    .filter((entry) => entry.startsWith('PROVOST_WORKER='))
  return [...readProc(pid, 'cgroup').split('\n'), ...worker]
}

function directoryEntries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function directoriesOf(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}
