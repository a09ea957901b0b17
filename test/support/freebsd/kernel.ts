import type { ChildProcess } from 'node:child_process'
import type { Parameters } from './jail/parse-jail-conf.ts'

/** A jail as the kernel keeps it; `dyingFor`: in how many more looks at it it is still dying after its removal. */
export type KernelJail = {
  jid: number
  name: string
  path: string
  parameters: Parameters
  vnet: boolean
  processes: Set<JailedProcess>
  /** The CPUs that it is bound to; undefined: all of the host's. */
  cpus?: number[]
  dyingFor?: number
}

export type JailedProcess = { pid: number; command: string; jid?: number; child?: ChildProcess }

export type Link = {
  name: string
  kind: 'ether' | 'loop' | 'epair' | 'bridge'
  up: boolean
  /** 1500 unless set. */
  mtu?: number
  description?: string
  /** `tentative`: in how many more looks at it the kernel still looks for another host that has it. */
  addresses: { family: 'inet' | 'inet6'; address: string; prefix: number; tentative?: number; duplicated?: true }[]
  /** ND6_IFF_NO_DAD: no address that is added is looked for. It stays. */
  noDad?: boolean
  /** ND6_IFF_IFDISABLED: no IPv6 until the first address is added. */
  ifDisabled?: boolean
  members: string[]
  ether: string
  /** The jail whose network it is in; 0 is the host's. */
  vnet: number
  peer?: Link
}

export type Dataset = { mountpoint: string; mounted: boolean; origin?: string; quota?: string }

/** How a program is started: the doubles know nothing of who starts them. */
export type CommandOptions = { signal?: AbortSignal | undefined; timeoutMs?: number; okExitCodes?: number[]; outputFile?: string }
export type CommandResult = { exitCode: number; stdout: string; stderr: string }

/** What a command gave; undefined exit code: it hung until it was ended. `signal`: what ended it, of a command in a jail. */
export type Answer = { exitCode?: number | undefined; stdout?: string; stderr?: string; signal?: NodeJS.Signals }
export type Program = (args: string[], options: CommandOptions) => Answer | Promise<Answer>

/** The state of one simulated FreeBSD host. */
export type Kernel = {
  jails: Map<number, KernelJail>
  nextJid: number
  links: Link[]
  nextEpair: number
  mounts: { device: string; point: string; fsType: string; options?: string }[]
  /** Mount points that something uses. */
  busyMounts: Set<string>
  datasets: Map<string, Dataset>
  snapshots: Map<string, string>
  /** How often a dataset is still busy when it is to be unmounted. */
  busyDatasets: Map<string, number>
  /** The pool has no room for a directory to mount on. */
  poolFull: boolean
  rules: string[]
  sysctl: Map<string, string>
  rcConf: Map<string, string>
  devfsRules: Map<string, string>
  /** By file, a flag that chflags(1) has set. */
  flags: Map<string, string>
  /** Addresses of IPv6 that another host of the network has. */
  elsewhere: Set<string>
  /** How long a removed jail is dying, in looks at it. */
  dyingFor: number
  /** Runs another program of the host, as jail(8) does. */
  host(program: string, args: string[]): Promise<CommandResult>
  /** Runs a command in a jail and waits for it. */
  inJail(jail: KernelJail, argv: string[], log: string | undefined): Promise<Answer>
  /** Leaves a command running in a jail; `ended` hears of its exit code. */
  leaveInJail(jail: KernelJail, left: Left): void
  /** Changes what jls says of a jail: how a test breaks its isolation. */
  amend(parameters: Record<string, string | string[]>): void
}

/** What daemon(8) leaves running. */
export type Left = { argv: string[]; log: string | undefined; ended(code: number): void }

/** What the facts do not tell: the product must not ask for it. */
export function notKnown(what: string): never {
  throw new Error(`Not known of FreeBSD: ${what}`)
}

export const failed = (stderr: string, stdout = ''): Answer => ({ exitCode: 1, stdout, stderr: `${stderr}\n` })

export function findJail(kernel: Kernel, which: string): KernelJail | undefined {
  const all = [...kernel.jails.values()]
  if (/^\d+$/.test(which)) return kernel.jails.get(Number(which))
  return all.find(({ name, dyingFor }) => name === which && dyingFor === undefined) ?? all.find(({ name }) => name === which)
}

/** The kernel's part of a removal: processes end, the network comes home, and the record may be kept as dying. */
export function removeJail(kernel: Kernel, jail: KernelJail): void {
  for (const { child, pid } of jail.processes) if (child) killGroup(pid)
  jail.processes.clear()
  jail.dyingFor = kernel.dyingFor
  if (jail.dyingFor === 0) forget(kernel, jail)
}

/** Each look at a dying jail brings its end nearer. */
export function age(kernel: Kernel, jail: KernelJail): void {
  if (jail.dyingFor === undefined) return
  jail.dyingFor -= 1
  if (jail.dyingFor <= 0) forget(kernel, jail)
}

function forget(kernel: Kernel, jail: KernelJail): void {
  kernel.jails.delete(jail.jid)
  for (const link of kernel.links.filter(({ vnet }) => vnet === jail.jid)) {
    if (link.kind === 'loop') kernel.links.splice(kernel.links.indexOf(link), 1)
    // An interface that comes home has lost its addresses.
    Object.assign(link, { vnet: 0, addresses: [], up: false })
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
