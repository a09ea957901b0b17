import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { type Cgroups, type Controller, detectCgroups, processesIn } from '../../../worker/host/linux/limits/cgroups.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { endless, provision, removeAll, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: limits on Linux: ${whyNot}`)

const MiB = 1024 * 1024
const scripts = {
  'data/eat': 'x=0123456789abcdef\nwhile :; do x=$x$x; done\n',
  'data/spin': 'while :; do :; done\n',
  'data/fork': 'while :; do sleep 100000 & done\n',
  'data/fill': 'dd if=/dev/zero of=/data/big bs=1M count=500\necho $? > /tmp/verdict\n',
}

describe.skipIf(whyNot)('limits on Linux', () => {
  let trial: TrialHost
  let cgroups: Cgroups
  let jail: JailSpec

  beforeAll(async () => {
    trial = await trialHost(scripts)
    cgroups = detectCgroups()
  })
  afterEach(() => removeAll(trial.host, jail))
  afterAll(() => trial.close())

  const started = async (script: string, limits: Partial<JailSpec['limits']>) => {
    const plain = { memory: 64 * MiB, cpu: 1, processes: 50 }
    jail = trial.jail({ command: ['/bin/sh', `/data/${script}`], limits: { ...plain, ...limits } })
    await provision(trial.host, jail)
    const { checks } = await trial.host.proveIsolation(jail, new AbortController().signal)
    expect(checks.find(({ name }) => name === 'limits')).toMatchObject({ ok: true })
  }
  const read = (controller: Controller, file: string) =>
    readFileSync(join(cgroups.directory(controller, trial.layout.jail(jail.name).cgroup) ?? '', file), 'utf8').trim()
  const field = (text: string, name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
  const inRoot = (path: string) => join(trial.layout.jail(jail.name).root, path)

  it('ends what takes more memory than the jail has, and the jail goes on', async () => {
    await started('eat', { memory: 16 * MiB })
    const events = cgroups.version === 1 ? 'memory.oom_control' : 'memory.events'
    await until('a process to be killed', () => field(read('memory', events), 'oom_kill') > 0)
    expect(Number(read('memory', cgroups.version === 1 ? 'memory.max_usage_in_bytes' : 'memory.current'))).toBeLessThanOrEqual(
      16 * MiB,
    )
    expect(await trial.host.findJail(jail)).toBeDefined()
  })

  it('gives a busy jail its share of the CPU and no more', async () => {
    await started('spin', { cpu: 0.1 })
    const periods = () => field(read('cpu', 'cpu.stat'), 'nr_periods')
    const first = periods()
    await until('twenty periods', () => periods() >= first + 20)
    // Of the busy loop alone: its time in the periods that the kernel counted, each of 100 ms.
    const usedMs = cpuTimeMs(processesIn(cgroups, trial.layout.jail(jail.name).cgroup))
    expect(field(read('cpu', 'cpu.stat'), 'nr_throttled')).toBeGreaterThan(10)
    expect(usedMs).toBeLessThan(periods() * 10 * 1.5 + 50)
  })

  it('lets a jail have its number of processes and no more', async () => {
    await started('fork', { processes: 20 })
    await until('a fork to be refused', () => field(read('pids', 'pids.events'), 'max') > 0)
    expect(processesIn(cgroups, trial.layout.jail(jail.name).cgroup).length).toBeLessThanOrEqual(20)
    expect(Number(read('pids', 'pids.current'))).toBeLessThanOrEqual(20)
  })

  it('starts jails that may have only two processes: their first and their command', async () => {
    // Many, because runc, which enters with six threads, sometimes gets in all the same.
    const limits = { memory: 64 * MiB, cpu: 0.1, processes: 2 }
    const jails = Array.from({ length: 8 }, () => trial.jail({ command: endless, limits }))
    for (const each of jails) {
      jail = each
      await provision(trial.host, jail)
      expect(read('pids', 'pids.max')).toBe('2')
      expect(processesIn(cgroups, trial.layout.jail(jail.name).cgroup)).toHaveLength(2)
    }
    await Promise.all(jails.map((each) => removeAll(trial.host, each)))
  })

  it('takes no more disk than the jail has', async () => {
    await started('fill', { disk: 32 * MiB })
    await until('its verdict', () => existsSync(inRoot('tmp/verdict')))
    expect(readFileSync(inRoot('tmp/verdict'), 'utf8')).toBe('1\n')
    expect(statSync(inRoot('data/big')).size).toBeLessThan(32 * MiB)
  })

  it('keeps what a jail with a disk limit wrote over a stop and a start', async () => {
    await started('fill', { disk: 32 * MiB })
    await until('its verdict', () => existsSync(inRoot('tmp/verdict')))
    const { signal } = new AbortController()
    await trial.host.removeJail(jail, signal)
    // What a reboot does to the root.
    await trial.run('umount', [trial.layout.jail(jail.name).root])
    await trial.run('umount', [trial.layout.jail(jail.name).disk])
    await trial.host.ensureRoot(jail, signal)
    expect(existsSync(inRoot('data/big'))).toBe(true)
  })
})

/** proc_pid_stat(5): utime and stime, in ticks of 10 ms. */
function cpuTimeMs(pids: number[]): number {
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, each) => sum + each, 0) * 10
}
