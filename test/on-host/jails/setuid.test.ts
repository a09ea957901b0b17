import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import type { OciSpec } from '../../../worker/host/linux/jail/oci-spec.ts'
import { detectCgroups, processesIn } from '../../../worker/host/linux/limits/cgroups.ts'
import { readStatus } from '../../../worker/host/linux/processes/processes.ts'
import { rangeOf } from '../../../worker/host/linux/root/id-range.ts'
import { readMounts } from '../../../worker/host/linux/root/mounts.ts'
import { linuxRuntime } from '../../../worker/host/linux/runtime.ts'
import { findProgram } from '../../../worker/host/programs/run-command.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { provision, removeAll, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: setuid programs in jails on Linux: ${whyNot}`)

const { signal } = new AbortController()
const user = 4321
const setuid = { privileges: { setuid: true } }
/** The capabilities of root in a jail, as the kernel shows them. */
const ofRoot = '00000000a00405fb'

const scripts = {
  'etc/passwd': `root::0:0::/root:/bin/sh\nuser:x:${user}:${user}::/tmp:/bin/sh\n`,
  'data/as-root': 'echo uid $(busybox id -u); busybox grep -E "^Cap(Inh|Prm|Bnd)" /proc/self/status\n',
  'data/as-user': '/bin/su root -c "/bin/sh /data/as-root"\n',
  'data/gain': 'busybox su user -c "/bin/sh /data/as-user" > /data/seen 2>&1; echo end >> /data/seen\n',
  'data/rest': 'busybox su user -c "exec busybox sleep 100000"\n',
}

describe.skipIf(whyNot)('setuid programs on Linux', () => {
  let trial: TrialHost
  let jail: JailSpec

  beforeAll(async () => {
    trial = await trialHost(scripts, { privileges: { setuid: true } })
  })
  afterEach(async () => {
    trial.breakNextBy(() => {})
    await removeAll(trial.host, jail)
  })
  afterAll(() => trial.close())

  /** Starts a jail with a setuid su of root, which needs no password there. */
  async function start(overrides: Partial<JailSpec>): Promise<void> {
    jail = trial.jail(overrides)
    await trial.host.ensureRoot(jail, signal)
    const su = join(rootOf(), 'bin/su')
    copyFileSync(findProgram('busybox', trial.config.commandPath) ?? '', su)
    // Of root in the jail, which is another one on the host.
    chownSync(su, firstId(), firstId())
    chmodSync(su, 0o4755)
    await provision(trial.host, jail)
  }
  const rootOf = () => trial.layout.jail(jail.name).root
  const firstId = () => rangeOf(trial.layout, trial.layout.jail(jail.name)) ?? 0
  const privilegesOf = async (spec = jail) =>
    (await trial.host.proveIsolation(spec, signal)).checks.filter(({ ok, name }) => !ok || name === 'privileges')

  async function seen(): Promise<string> {
    const file = join(rootOf(), 'data/seen')
    return until('what it saw', () => existsSync(file) && /^([\s\S]*)end\n$/.exec(readFileSync(file, 'utf8'))?.[1])
  }

  it.each([
    ['', {}],
    [' with a disk of its own', { limits: { memory: 2 ** 26, cpu: 0.5, processes: 50, disk: 2 ** 25 } }],
  ])('make a user of a jail%s root in it where it has asked for that, with no capability more', async (_, limits) => {
    await start({ ...setuid, ...limits, command: ['/bin/sh', '/data/gain'] })
    expect(await seen()).toBe(`uid 0\nCapInh:\t${'0'.repeat(16)}\nCapPrm:\t${ofRoot}\nCapBnd:\t${ofRoot}\n`)
    expect(await privilegesOf()).toEqual([
      {
        name: 'privileges',
        ok: true,
        detail: 'root in it has 12 capabilities, none over the host, setuid programs give these and no more',
      },
    ])
  })

  it('give no rights in a jail that has not asked', async () => {
    await start({ command: ['/bin/sh', '/data/gain'] })
    expect(await seen()).toMatch(/^su: must be suid to work properly\n$/)
  })

  it('give a user of the host no rights, also where he has the number of a user of the jail', async () => {
    await start({ ...setuid, command: ['/bin/sh', '/data/rest'] })
    const number = firstId() + user
    const inside = await until('the user in the jail', () =>
      processesIn(detectCgroups(), trial.layout.jail(jail.name).cgroup).find(
        (pid) => readStatus(pid)?.get('Uid') === [number, number, number, number].join('\t'),
      ),
    )
    // Not by setpriv(1), which keeps the capabilities of root until it has found the program.
    const asUser = (path: string) =>
      spawnSync(`${path}/bin/su`, ['root', '-c', 'true'], { encoding: 'utf8', uid: number, gid: number, argv0: 'su' })
    expect(asUser(rootOf()).error).toMatchObject({ code: 'EACCES' })
    // He is in another user namespace, and may not look into a process of this one.
    expect(asUser(`/proc/${inside}/root`).error).toMatchObject({ code: 'EACCES' })
    expect(readMounts().find(({ point }) => point === rootOf())?.options).toContain('nosuid')
  })

  const withSpec = (amend: (spec: OciSpec) => void) => async (overrides: Partial<JailSpec>) => {
    trial.breakNextBy(amend)
    await start(overrides)
  }
  const remount = (how: string, root = rootOf()) => trial.run('mount', ['-i', '-o', `remount,bind,nodev,${how}`, root])
  const broken: [how: string, asked: boolean, fault: RegExp, make: (overrides: Partial<JailSpec>) => Promise<unknown>][] = [
    [
      'processes that may gain privileges, unasked',
      false,
      /^process \d+ could gain privileges$/,
      withSpec((spec) => Object.assign(spec.process, { noNewPrivileges: false })),
    ],
    [
      'a root without nosuid, unasked',
      false,
      /^could gain privileges by a setuid program: its \/ is mounted without nosuid$/,
      async (overrides) => {
        jail = trial.jail(overrides)
        await trial.host.ensureRoot(jail, signal)
        await remount('suid', trial.layout.jail(jail.name).rootForRunc)
        await provision(trial.host, jail)
      },
    ],
    [
      'processes that may not gain what was asked for',
      true,
      /^setuid programs give no rights in it, as was asked for: its processes have no_new_privs$/,
      withSpec((spec) => Object.assign(spec.process, { noNewPrivileges: true })),
    ],
    [
      'nothing of what was asked for',
      true,
      /^setuid programs give no rights in it, as was asked for: its \/ is mounted nosuid; .*: its processes have no_new_privs$/,
      async () => {
        await start({})
        jail = { ...jail, ...setuid }
      },
    ],
    [
      'one capability more than was asked for',
      true,
      /^process \d+ has capabilities it should not: CapBnd 00000000a02405fb; /,
      withSpec((spec) => {
        for (const set of ['bounding', 'effective', 'permitted'] as const) spec.process.capabilities?.[set].push('CAP_SYS_ADMIN')
      }),
    ],
    [
      'a root that the host sees without nosuid',
      true,
      /^the host sees \/\S+ without nosuid$/,
      async (overrides) => {
        await start(overrides)
        await remount('suid')
      },
    ],
    [
      'directories above it that are open to users of the host',
      true,
      /^users of the host could run its setuid files: \/\S+ is open to them$/,
      async (overrides) => {
        await start(overrides)
        for (const path of [trial.layout.jails, trial.layout.jail(jail.name).directory]) chmodSync(path, 0o755)
      },
    ],
  ]

  it.each(broken)('leave privileges, and nothing else, unproven for a jail that has %s', async (_, asked, fault, make) => {
    await make(asked ? setuid : {})
    expect(await privilegesOf()).toEqual([{ name: 'privileges', ok: false, detail: expect.stringMatching(fault) }])
    chmodSync(trial.layout.jails, 0o700)
  })

  it('run on where the host allows them no more, and are not started again', async () => {
    await start(setuid)
    const { privileges: _, ...config } = trial.config
    const stricter = linuxRuntime({ run: trial.run, config })
    expect([trial.host.supports.setuid, stricter.supports.setuid]).toEqual(['on-request', 'never'])
    expect(await stricter.ensureJail(jail, signal)).toBe((await trial.host.findJail(jail))?.jid)
    await trial.host.removeJail(jail, signal)
    await expect(stricter.ensureJail(jail, signal)).rejects.toMatchObject({ code: 'privilege_not_allowed' })
    expect(await trial.host.findJail(jail)).toBe(undefined)
    await trial.host.ensureJail(jail, signal)
  })
})
