import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import type { OciSpec } from '../../../worker/host/linux/jail/oci-spec.ts'
import { type Controller, detectCgroups } from '../../../worker/host/linux/limits/cgroups.ts'
import { onBehalfOf } from '../../../worker/host/programs/run-command.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { endless, provision, removeAll, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: isolation on Linux, broken in each way: ${whyNot}`)

const { signal } = new AbortController()
const cgroups = whyNot ? undefined : detectCgroups()
const outside = mkdtempSync(join(tmpdir(), 'provost-outside-'))

const withoutNamespace = (type: string) => (spec: OciSpec) => {
  spec.linux.namespaces = spec.linux.namespaces.filter((namespace) => namespace.type !== type)
}
const withCapability = (name: string) => (spec: OciSpec) => {
  for (const set of ['bounding', 'effective', 'permitted'] as const) spec.process.capabilities?.[set].push(name)
}

/** A jail broken from its start: what is changed in its specification, and the check that must see it. */
const brokenAtStart: [check: string, how: string, amend: (spec: OciSpec) => void][] = [
  ['hostname', 'another host name', (spec) => Object.assign(spec, { hostname: 'elsewhere' })],
  [
    'hostname',
    "the host's own name",
    (spec) => {
      withoutNamespace('uts')(spec)
      delete spec.hostname
    },
  ],
  [
    'addresses',
    "the host's own network",
    (spec) => {
      withoutNamespace('network')(spec)
      delete spec.linux.sysctl
    },
  ],
  ['processes', "the host's shared memory", withoutNamespace('ipc')],
  ['processes', "the host's cgroup tree", withoutNamespace('cgroup')],
  [
    'processes',
    "the host's /proc",
    (spec) => {
      spec.mounts = spec.mounts.map((mount) =>
        mount.destination === '/proc'
          ? { ...mount, type: 'bind', source: '/proc', options: ['bind', 'nosuid', 'noexec', 'nodev'] }
          : mount,
      )
    },
  ],
  ['root', 'a directory of the host', (spec) => spec.mounts.push(bindOf(outside, '/mnt', 'nodev'))],
  [
    'root',
    "the host's /sys",
    (spec) => spec.mounts.push({ destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nodev'] }),
  ],
  [
    'root',
    'a program of the host that it can write',
    (spec) => {
      for (const { options } of spec.mounts) if (options.includes('ro')) options.splice(options.indexOf('ro'), 1)
    },
  ],
  ['devices', "the host's kernel log", (spec) => Object.assign(spec.linux, { devices: [charDevice('/dev/kmsg', 1, 11)] })],
  [
    'devices',
    'a device of the host below a directory',
    (spec) => Object.assign(spec.linux, { devices: [charDevice('/dev/net/tun', 10, 200)] }),
  ],
  [
    'devices',
    'a cgroup that lets it open any',
    (spec) => spec.linux.resources.devices?.push({ allow: true, access: 'rwm', type: 'b', major: 254, minor: 0 }),
  ],
  ['privileges', 'one capability too much', withCapability('CAP_SYS_ADMIN')],
  ['privileges', 'raw sockets', withCapability('CAP_NET_RAW')],
  ['privileges', 'a way to gain privileges', (spec) => Object.assign(spec.process, { noNewPrivileges: false })],
  ['privileges', 'no filter of system calls', (spec) => delete spec.linux.seccomp],
  ['limits', 'no limit of memory', (spec) => delete spec.linux.resources.memory],
]

/** What root in a jail must not manage to do. None would do harm if it did. */
const tries = [
  'mount -t tmpfs tmpfs /data',
  'mount -t proc proc /data',
  'unshare -U true',
  'unshare -m true',
  'unshare -n true',
  'mknod /tmp/disk b 254 0',
  'hostname other',
  'echo 0 > /proc/sys/kernel/panic',
  'echo h > /proc/sysrq-trigger',
  'ip address add 10.1.2.3/24 dev eth0',
  'ip link set eth0 down',
  'ping -c 1 127.0.0.1',
  'kill -0 2',
  'echo > /dev/.init',
]
const escapeScript =
  `${tries.map((attempt, i) => `busybox ${attempt} && echo ${i} done >> /tmp/v || echo ${i} refused >> /tmp/v`).join('\n')}
echo end >> /tmp/v; busybox mv /tmp/v /tmp/verdicts
`.replaceAll('busybox echo', 'echo')

type Change = (trial: TrialHost, jail: JailSpec) => Promise<unknown>

/** A jail broken from outside, after it started well. */
const brokenLater: [check: string, how: string, change: Change][] = [
  ['hostname', 'another host name', enter('--uts', 'hostname', 'elsewhere')],
  ['addresses', 'one address more', enter('--net', 'ip', 'address', 'add', '10.1.2.3/24', 'dev', 'eth0')],
  ['addresses', 'one address less', enter('--net', 'ip', '-4', 'address', 'flush', 'dev', 'eth0')],
  ['addresses', 'a link-local address', enter('--net', 'ip', 'address', 'add', 'fe80::1/64', 'dev', 'eth0', 'nodad')],
  ['addresses', 'one interface more', enter('--net', 'ip', 'link', 'add', 'name', 'br9', 'type', 'bridge')],
  [
    'addresses',
    'another prefix',
    async (trial, jail) => {
      const [cidr = ''] = jail.addresses
      await enter('--net', 'ip', 'address', 'delete', cidr, 'dev', 'eth0')(trial, jail)
      await enter('--net', 'ip', 'address', 'add', cidr.replace(/\/\d+/, '/16'), 'dev', 'eth0')(trial, jail)
    },
  ],
  [
    'addresses',
    'a link that leads nowhere',
    ({ run, layout }, jail) => run('ip', ['link', 'set', 'dev', layout.jail(jail.name).veth, 'nomaster']),
  ],
  ['root', 'one mount more', enter('--mount', 'mount', '-t', 'tmpfs', '-o', 'nodev', 'tmpfs', '/data')],
  ['limits', 'more processes than promised', setControl('pids', 'pids.max', '51')],
  [
    'limits',
    'more of the CPU than promised',
    cgroups?.version === 2 ? setControl('cpu', 'cpu.max', '60000 100000') : setControl('cpu', 'cpu.cfs_quota_us', '60000'),
  ],
]

describe.skipIf(whyNot)('isolation on Linux', () => {
  let trial: TrialHost
  let jail: JailSpec

  beforeAll(async () => {
    trial = await trialHost({ 'data/escape': escapeScript })
  })
  afterEach(async () => {
    trial.breakNextBy(() => {})
    await removeAll(trial.host, jail)
  })
  afterAll(async () => {
    await trial.close()
    await rm(outside, { recursive: true })
  })
  const failing = async () =>
    (await trial.host.proveIsolation(jail, signal)).checks.filter(({ ok }) => !ok).map(({ name }) => name)

  it('is proven in words that a person understands', async () => {
    jail = trial.jail({ command: endless, hostname: 'shop.example.com' })
    await provision(trial.host, jail)
    const { checks } = await trial.host.proveIsolation(jail, signal)
    expect(checks).toEqual([
      { name: 'hostname', ok: true, detail: 'sees shop.example.com, in a namespace of its own' },
      { name: 'addresses', ok: true, detail: `has ${jail.addresses.join(', ')} and no interface of the host` },
      {
        name: 'network',
        ok: true,
        detail: expect.stringMatching(/^its link passes only its own addresses, .*to the host nothing$/),
      },
      { name: 'processes', ok: true, detail: 'sees 2 processes, all its own' },
      { name: 'root', ok: true, detail: expect.stringMatching(/^\/ is its own, over tiny, with \d+ mounts, all expected$/) },
      { name: 'devices', ok: true, detail: 'has full, null, random, tty, urandom, zero and no other device' },
      { name: 'privileges', ok: true, detail: 'root in it has 12 capabilities, none over the host, and gains none' },
      { name: 'limits', ok: true, detail: 'at most 67108864 bytes of memory, 0.5 cores, 50 processes' },
    ])
  })

  it.each(brokenAtStart)('fails %s, and nothing else, for a jail that has %s', async (check, _, amend) => {
    jail = trial.jail()
    trial.breakNextBy(amend)
    await provision(trial.host, jail)
    expect(await failing()).toEqual([check])
  })

  it.each(brokenLater)('fails %s, and nothing else, for a jail that got %s', async (check, _, change) => {
    jail = trial.jail()
    await provision(trial.host, jail)
    expect(await failing()).toEqual([])
    await change(trial, { ...jail, ...(await trial.host.findJail(jail)) })
    expect(await failing()).toEqual([check])
  })

  it('fails root for a jail over another world than its own', async () => {
    jail = trial.jail()
    await provision(trial.host, jail)
    jail = { ...jail, worldDigest: 'c3'.repeat(32) }
    expect(await failing()).toEqual(['root'])
  })

  it("fails processes and privileges when a process of the host is in the jail's cgroup", async () => {
    jail = trial.jail()
    await provision(trial.host, jail)
    const stray = spawn('sleep', ['100000'])
    await setControl('pids', 'cgroup.procs', `${stray.pid}`)(trial, jail)
    expect(await failing()).toEqual(['processes', 'privileges'])
    stray.kill('SIGKILL')
  })

  it.each(['dev', 'proc'])('does not start a jail whose /%s leads out of it', async (name) => {
    jail = trial.jail()
    await trial.host.ensureRoot(jail, signal)
    await trial.host.ensureNetwork(jail, signal)
    await symlink(outside, join(trial.layout.jail(jail.name).root, name))
    await expect(trial.host.ensureJail(jail, signal)).rejects.toMatchObject({ code: 'isolation_unproven' })
    expect(await readdir(outside)).toEqual([])
  })

  it('holds root in a jail: no mount, no new namespace, no device, no system setting, no process of the host', async () => {
    jail = trial.jail({ command: ['/bin/sh', '/data/escape'] })
    await provision(trial.host, jail)
    const verdicts = join(trial.layout.jail(jail.name).root, 'tmp/verdicts')
    await until('its verdicts', () => existsSync(verdicts) && readFileSync(verdicts, 'utf8').endsWith('end\n'))
    expect(readFileSync(verdicts, 'utf8')).toBe(`${tries.map((_, i) => `${i} refused`).join('\n')}\nend\n`)
  })

  it("runs no program of the jail's world", async () => {
    jail = trial.jail()
    await provision(trial.host, jail)
    const commands: string[] = []
    await onBehalfOf(
      'test',
      ({ command }) => commands.push(command),
      () => trial.host.proveIsolation(jail, signal),
    )
    expect(commands.sort()).toEqual([
      expect.stringMatching(/^nft -nn list table netdev provost_[0-9a-f]{8}_j\d+$/),
      expect.stringMatching(/^nsenter --target \d+ --uts uname --nodename$/),
    ])
  })
})

/** Runs a program of the host in one of the jail's namespaces. */
function enter(namespace: string, ...command: string[]): Change {
  return async ({ host, run }, jail) => run('nsenter', ['--target', `${(await host.findJail(jail))?.jid}`, namespace, ...command])
}

function setControl(controller: Controller, file: string, value: string): Change {
  return ({ layout }, jail) => writeFile(join(cgroups?.directory(controller, layout.jail(jail.name).cgroup) ?? '', file), value)
}

function bindOf(source: string, destination: string, ...options: string[]) {
  return { destination, type: 'bind', source, options: ['bind', ...options] }
}

function charDevice(path: string, major: number, minor: number) {
  return { type: 'c', path, major, minor }
}
