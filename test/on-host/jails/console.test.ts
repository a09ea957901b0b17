import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { type Cgroups, detectCgroups, processesIn } from '../../../worker/host/linux/limits/cgroups.ts'
import { isAlive, readStatus } from '../../../worker/host/linux/processes/processes.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { provision, removeAll, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: consoles of jails on Linux: ${whyNot}`)

const KiB = 1024
const scripts = {
  'data/flood': 'exec cat /dev/zero\n',
  'data/talk': 'trap "" PIPE\ni=0\nwhile sleep 0.05; do i=$((i+1)); echo line $i || exit 9; done\n',
  'data/daemon': '(sleep 0.2; echo from the daemon; exec sleep 100000) &\necho started\nexit 7\n',
}

describe.skipIf(whyNot)('the console of a jail', () => {
  let trial: TrialHost
  let cgroups: Cgroups
  let jail: JailSpec
  beforeAll(async () => {
    trial = await trialHost(scripts)
    cgroups = detectCgroups()
  })
  afterEach(() => removeAll(trial.host, jail))
  afterAll(() => trial.close())

  const layout = () => trial.layout.jail(jail.name)
  const keepers = () => processesIn(cgroups, layout().consoleCgroup)
  async function started(script: string, limits = { memory: 64 * KiB * KiB, cpu: 0.5, processes: 50 }) {
    jail = trial.jail({ command: ['/bin/sh', `/data/${script}`], limits })
    await provision(trial.host, jail)
  }
  const sizes = () =>
    readdirSync(layout().directory)
      .filter((name) => name.startsWith('console'))
      .map((name) => statSync(join(layout().directory, name), { throwIfNoEntry: false })?.size ?? 0)

  it('never has more than its two files of 512 KiB, however much is printed', async () => {
    await started('flood')
    let [most, files] = [0, 0]
    const seen = new Set<number>()
    await until('it to begin a new file three times', () => {
      const file = statSync(layout().console, { throwIfNoEntry: false })
      if (file) seen.add(file.ino)
      const now = sizes()
      most = Math.max(most, ...now)
      files = Math.max(files, now.length)
      return seen.size > 3
    })
    expect(most).toBeLessThanOrEqual(512 * KiB)
    expect(files).toBe(2)
    // No process of the jail has a file of the host open: what it prints into is a pipe.
    const pids = processesIn(cgroups, layout().cgroup)
    const outputs = pids.map((pid) => readlinkSync(`/proc/${pid}/fd/1`).replace(/\d+/, 'N'))
    expect(outputs.sort()).toEqual(['pipe:[N]', 'socket:[N]'])
  })

  it('is taken in at the cost of the jail, and is no process of the jail', async () => {
    await started('flood', { memory: 64 * KiB * KiB, cpu: 0.1, processes: 50 })
    await until('what takes it in to be in the cgroup of the jail', () => keepers().length === 1)
    expect(readFileSync(`/proc/${keepers()[0]}/cgroup`, 'utf8')).toContain(`:cpu:${layout().consoleCgroup}\n`)
    expect((await trial.host.proveIsolation(jail, AbortSignal.timeout(10_000))).checks.filter(({ ok }) => !ok)).toEqual([])
  })

  it('goes on when a new worker ends what an earlier one has left running', async () => {
    await started('talk')
    await trial.host.endPredecessor()
    const length = () => (existsSync(layout().console) ? statSync(layout().console).size : 0)
    const before = length()
    await until('more of its output', () => length() > before)
    expect(keepers()).toHaveLength(1)
  })

  it('ends with its jail', async () => {
    await started('talk')
    await until('some output', () => existsSync(layout().console) && statSync(layout().console).size > 0)
    const [keeper] = keepers()
    await removeAll(trial.host, jail)
    expect(isAlive(readStatus(keeper ?? 0))).toBe(false)
    expect(existsSync(layout().directory)).toBe(false)
  })

  it('has what a daemon prints whose parent has ended', async () => {
    await started('daemon')
    await until('the words of both', () => readFileSync(layout().console, 'utf8') === 'started\nfrom the daemon\n')
  })
})
