import { existsSync } from 'node:fs'
import type { JailSpec } from '#shared/job.ts'
import type { JailLayout } from '../layout.ts'
import type { Cgroups } from '../limits/cgroups.ts'
import { rangeSize } from '../root/id-range.ts'
import { seccomp } from './seccomp.ts'

/**
 * The least number of tasks while runc's own init runs: it enters the jail's cgroup with about six threads and, on a small share
 * of the CPU, takes longer to start a jail than all the rest. So it gets this many, and no quota, until the jail's first process
 * replaces it, which never forks; no process of the client has run by then.
 */
export const tasksForRunc = 16

type SpecMount = { destination: string; type: string; source: string; options: string[] }

type IdMapping = { containerID: number; hostID: number; size: number }

/** The part of the OCI runtime specification (1.0.2) that we use. */
export type OciSpec = {
  ociVersion: string
  process: {
    user: { uid: number; gid: number }
    args: string[]
    env: string[]
    cwd: string
    capabilities?: Record<'bounding' | 'effective' | 'permitted', string[]>
    noNewPrivileges: boolean
  }
  root: { path: string }
  hostname?: string
  mounts: SpecMount[]
  linux: {
    namespaces: { type: string; path?: string }[]
    uidMappings?: IdMapping[]
    gidMappings?: IdMapping[]
    cgroupsPath: string
    sysctl?: Record<string, string>
    resources: {
      devices?: { allow: boolean; access: string; type?: string; major?: number; minor?: number }[]
      memory?: { limit: number; swap?: number }
      pids?: { limit: number }
    }
    devices?: { type: string; path: string; major: number; minor: number }[]
    seccomp?: typeof seccomp
    maskedPaths?: string[]
    readonlyPaths?: string[]
  }
}

/**
 * The capabilities of root in a jail. Not here: SYS_ADMIN, NET_ADMIN, NET_RAW, MKNOD, SYS_PTRACE, DAC_READ_SEARCH and all else
 * that reaches past the jail. SYS_CHROOT stays, as jail(2) on FreeBSD lets a jail use chroot.
 */
const capabilities = [
  ...['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SETPCAP'],
  ...['CAP_SETFCAP', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_AUDIT_WRITE'],
]

/** The first process's program in the jail: in its fresh /dev, whose content is ours, whatever is in the jail's tree. */
export const initPath = '/dev/.init'

export function ociSpec(jail: JailSpec, layout: JailLayout, cgroups: Cgroups, init: string, firstId: number): OciSpec {
  const ids = [{ containerID: 0, hostID: firstId, size: rangeSize }]
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: [initPath, '-P'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'TERM=dumb'],
      cwd: '/',
      capabilities: { bounding: [...capabilities], effective: [...capabilities], permitted: [...capabilities] },
      noNewPrivileges: jail.privileges?.setuid !== true,
    },
    root: { path: layout.rootForRunc },
    hostname: jail.hostname,
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'noexec', 'mode=755', 'size=1m', 'nr_inodes=1k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'nr_inodes=16k'],
      },
      { destination: initPath, type: 'bind', source: init, options: ['bind', 'ro', 'nosuid', 'nodev'] },
    ],
    linux: {
      namespaces: [
        ...['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
        { type: 'network', path: layout.network },
        { type: 'user', path: layout.userNamespace },
      ],
      // runc 1.1 wants them also of a namespace that it joins.
      ...{ uidMappings: ids, gidMappings: ids },
      cgroupsPath: layout.cgroup,
      // Without it an advertisement of a router on the bridge would give the jail an address that nobody leased.
      ...(existsSync('/proc/sys/net/ipv6') ? { sysctl: { 'net.ipv6.conf.eth0.accept_ra': '0' } } : {}),
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        memory: { limit: jail.limits.memory, ...(canLimitSwap(cgroups) ? { swap: jail.limits.memory } : {}) },
        pids: { limit: Math.max(jail.limits.processes, tasksForRunc) },
      },
      seccomp,
      maskedPaths: [
        '/proc/acpi',
        '/proc/asound',
        '/proc/kcore',
        '/proc/keys',
        '/proc/timer_list',
        '/proc/sched_debug',
        '/proc/scsi',
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  }
}

/** Not every kernel counts swap; with cgroup v2 it does when it has swap at all. */
function canLimitSwap(cgroups: Cgroups): boolean {
  if (cgroups.version === 2) return existsSync('/proc/swaps')
  return existsSync(`${cgroups.directory('memory', '/')}/memory.memsw.limit_in_bytes`)
}
