import { existsSync, readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { whyNoFreebsdJails } from '../../support/hosts/host-fitness.ts'
import { provision, removeAll } from '../../support/hosts/trial-host.ts'
import { patience } from '../../support/patience.ts'
import { must, output } from '../../support/real-freebsd/ask-host.ts'
import { type FreebsdTrial, freebsdTrial } from '../../support/real-freebsd/trial.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoFreebsdJails()

const MiB = 1024 ** 2
/** Programs that ask for all the memory that there is. */
const hogs: Record<string, string> = {
  'a shell that doubles what it has': 'x=0123456789abcdef; while :; do x=$x$x; done',
  'dd(1) with one big buffer': 'dd if=/dev/zero of=/dev/null bs=1g count=1',
}

describe.skipIf(whyNot)('limits on FreeBSD', () => {
  let trial: FreebsdTrial
  let jail: JailSpec
  beforeAll(async () => {
    trial = await freebsdTrial({ storage: 'zfs', mode: 'shared' })
  })
  afterEach(() => removeAll(trial.host, jail))
  afterAll(() => trial.close())

  const printed = () => {
    const path = trial.layout.jail(jail.name).console
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }
  const withLimits = (command: string, limits: Partial<JailSpec['limits']> = {}) =>
    trial.jail({ command: ['/bin/sh', '-c', command], limits: { memory: 128 * MiB, cpu: 1, processes: 50, ...limits } })

  it.each(Object.entries(hogs))('end %s, and not the jail', async (_, hog) => {
    jail = withLimits(`sh -c '${hog}'; echo "ended with $?"; exec sleep 600`)
    const jid = await provision(trial.host, jail)
    let most = 0
    await until(
      'its end',
      () => {
        most = Math.max(most, Number(/^memoryuse=(\d+)$/m.exec(output('rctl', '-u', `jail:${jail.name}`))?.[1] ?? 0))
        return /ended with [1-9]/.test(printed())
      },
      60_000,
    )
    console.info(`It had at most ${Math.round(most / MiB)} MiB resident of 128.`)
    expect(await trial.host.findJail(jail)).toEqual({ jid })
  })

  it('refuse more processes than there may be', async () => {
    jail = withLimits('for i in 1 2 3 4 5 6 7 8 9 10; do sleep 600 & done; wait', { processes: 5 })
    await provision(trial.host, jail)
    await until('a refusal', () => /fork/i.test(printed()), 30_000)
    const pids = output('ps', '-o', 'pid=', '-J', jail.name).split('\n').filter(Boolean)
    expect(pids.length).toBeLessThanOrEqual(5)
  })

  it('hold a disk, its console included in what the jail may write', async () => {
    jail = withLimits('dd if=/dev/zero of=/data/full bs=64k count=1024; echo "ended with $?"', { disk: 32 * MiB })
    await provision(trial.host, jail)
    await until('a refusal', () => /ended with [1-9]/.test(printed()), 60_000)
    expect(printed()).toMatch(/full: (Disc quota exceeded|No space left on device)/)
  })

  it('give a busy jail no more of the CPU than its own cores', async () => {
    jail = withLimits('while :; do :; done', { cpu: 0.5 })
    const jid = await provision(trial.host, jail)
    const used = () => Number(/^cputime=(\d+)$/m.exec(output('rctl', '-u', `jail:${jail.name}`))?.[1] ?? 0)
    const [from, began] = [used(), Date.now()]
    await until('ten seconds to pass', () => Date.now() - began > 10_000 * patience, 30_000, 500)
    const share = (used() - from) / ((Date.now() - began) / 1_000)
    console.info(`It had ${Math.round(share * 100)} % of a core, of 50.`)
    expect(share).toBeLessThanOrEqual(1.1)
    expect(must('cpuset', '-g', '-j', `${jid}`)).toMatch(/mask: \d+$/m)
  })

  it('are refused by nobody: without their rules no jail starts', async () => {
    jail = withLimits('exec sleep 600')
    await provision(trial.host, jail)
    expect(must('rctl', `jail:${jail.name}`).split('\n').filter(Boolean).sort()).toEqual(
      expect.arrayContaining([`jail:${jail.name}:maxproc:deny=50`, `jail:${jail.name}:pcpu:deny=100`]),
    )
    must('rctl', '-r', `jail:${jail.name}:maxproc`)
    const { checks } = await trial.host.proveIsolation(jail, new AbortController().signal)
    expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['limits'])
  })
})
