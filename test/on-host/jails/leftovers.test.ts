import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { hostSnapshot } from '../../support/hosts/host-snapshot.ts'
import { endless, provision, removeAll, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: what jails leave on a Linux host: ${whyNot}`)

describe.skipIf(whyNot)('what jails leave on a Linux host', () => {
  let trial: TrialHost
  beforeAll(async () => {
    trial = await trialHost()
  })
  afterAll(() => trial.close())

  /** All that has a name of this host or of one of its jails in it. Other work may go on beside this test. */
  const snapshot = () => {
    const { layout, config } = trial
    const links = Array.from({ length: 40 }, (_, i) => layout.jail(`j${i}`).veth)
    const own = [layout.root, layout.runDirectory, layout.filters, layout.cgroupParent, config.network.bridge ?? '', ...links]
    return hostSnapshot([layout.root], (line) => own.some((part) => line.includes(part)))
  }

  it('is nothing, after jails with commands, files, links and a disk limit', async () => {
    const before = snapshot()
    const jails = [
      trial.jail({ command: endless }),
      trial.jail({ limits: { memory: 64 * 1024 * 1024, cpu: 0.1, processes: 50, disk: 32 * 1024 * 1024 } }),
      trial.jail({ addresses: trial.jail().addresses.slice(0, 1) }),
    ]
    await Promise.all(jails.map((jail) => provision(trial.host, jail)))
    expect(snapshot()).not.toEqual(before)
    for (const jail of jails) await writeFile(join(trial.layout.jail(jail.name).root, 'data/file'), 'x'.repeat(100_000))
    await Promise.all(jails.map((jail) => removeAll(trial.host, jail)))
    expect(snapshot()).toEqual(before)
  })

  it.each([1, 5, 10, 15, 20, 25, 30, 35, 40, 50, 60])(
    'is nothing, after a start that was cut off at %i ms and undone',
    async (ms) => {
      const before = snapshot()
      const jail = trial.jail({ command: endless })
      const cut = new AbortController()
      const start = provision(trial.host, jail, cut.signal).catch(() => {})
      await wait(ms)
      cut.abort(new Error('cut'))
      await start
      await removeAll(trial.host, jail)
      expect(snapshot()).toEqual(before)
    },
  )

  it('is nothing, after a runc that was killed while it had a copy of itself mounted', async () => {
    const before = snapshot()
    const jail = trial.jail()
    await provision(trial.host, jail)
    const copy = join(trial.layout.jail(jail.name).runcState, 'runc.aBcDeF')
    await writeFile(copy, '')
    await trial.run('mount', ['--bind', '/bin/true', copy])
    await removeAll(trial.host, jail)
    expect(snapshot()).toEqual(before)
  })

  it('keeps no command from being started, once, after a runc that was killed before it had told of it', async () => {
    const jail = trial.jail({ command: endless })
    const { commandPid } = trial.layout.jail(jail.name)
    await provision(trial.host, jail)
    const started = () => hostSnapshot([], (line) => line.includes(`/${jail.name} `) || line.endsWith(`/${jail.name}`)).processes
    const once = started().filter((line) => line.includes('sleep 100000')).length
    await rename(commandPid, join(commandPid, '..', '.command.pid'))
    const copy = join(trial.layout.jail(jail.name).runcState, 'runc.aBcDeF')
    await writeFile(copy, '')
    await trial.host.startCommand(jail, AbortSignal.timeout(20_000))
    expect(started().filter((line) => line.includes('sleep 100000'))).toHaveLength(once)
    expect(await readFile(commandPid, 'utf8')).toMatch(/^\d+$/)
    expect(existsSync(copy)).toBe(false)
    await removeAll(trial.host, jail)
  })

  it('is nothing, after a tree deeper than a path can name', async () => {
    const before = snapshot()
    const jail = trial.jail()
    await provision(trial.host, jail)
    const data = join(trial.layout.jail(jail.name).root, 'data')
    const deep = Array.from({ length: 200 }, () => 'deep-directory').join('/')
    await mkdir(join(data, 'upper', deep), { recursive: true })
    await mkdir(join(data, 'lower', deep), { recursive: true })
    await rename(join(data, 'lower'), join(data, 'upper', deep, 'lower'))
    await removeAll(trial.host, jail)
    expect(snapshot()).toEqual(before)
  })

  it('is no file of the host less, wherever the links of a jail led', async () => {
    const outside = join(trial.layout.root, 'outside')
    await mkdir(outside, { recursive: true })
    await writeFile(join(outside, 'file'), 'kept')
    const jail = trial.jail()
    await provision(trial.host, jail)
    await symlink(outside, join(trial.layout.jail(jail.name).root, 'data/link'))
    await removeAll(trial.host, jail)
    expect(await readFile(join(outside, 'file'), 'utf8')).toBe('kept')
  })
})
