import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { whyNoFreebsdJails } from '../../support/hosts/host-fitness.ts'
import { provision, removeAll } from '../../support/hosts/trial-host.ts'
import { patience } from '../../support/patience.ts'
import { must } from '../../support/real-freebsd/ask-host.ts'
import { type FreebsdTrial, freebsdTrial } from '../../support/real-freebsd/trial.ts'

const whyNot = whyNoFreebsdJails()

const MiB = 1024 ** 2

for (const { storage, mode } of [
  { storage: 'zfs', mode: 'vnet' },
  { storage: 'ufs', mode: 'shared' },
] as const) {
  describe.skipIf(whyNot)(`what jails leave on a FreeBSD host, ${storage}, ${mode}`, () => {
    let trial: FreebsdTrial
    beforeAll(async () => {
      trial = await freebsdTrial({ storage, mode })
    })
    afterAll(() => trial.close())

    it('is nothing, after jails with commands, files that even root cannot remove, and a disk limit', async () => {
      const before = trial.snapshot()
      const disk = storage === 'zfs' ? { disk: 32 * MiB } : {}
      const jails = [
        trial.jail({ command: ['/bin/sleep', '600'] }),
        trial.jail({ limits: { memory: 64 * MiB, cpu: 0.1, processes: 50, ...disk } }),
        trial.jail({ addresses: trial.jail().addresses.slice(1) }),
      ]
      for (const jail of jails) await provision(trial.host, jail)
      expect(trial.snapshot()).not.toEqual(before)
      for (const { name } of jails) {
        const file = join(trial.layout.jail(name).root, 'data/file')
        writeFileSync(file, 'x'.repeat(100_000))
        must('chflags', 'schg', file)
      }
      for (const jail of jails) await removeAll(trial.host, jail)
      expect(trial.snapshot()).toEqual(before)
    })

    it.each([1, 20, 50, 100, 200, 400])('is nothing, after a start that was cut off at %i ms and undone', async (ms) => {
      const before = trial.snapshot()
      const jail = trial.jail({ command: ['/bin/sleep', '600'] })
      const cut = new AbortController()
      const start = provision(trial.host, jail, cut.signal).catch(() => {})
      await wait(ms * patience)
      cut.abort(new Error('cut'))
      await start
      await removeAll(trial.host, jail)
      expect(trial.snapshot()).toEqual(before)
    })

    it('is nothing, after a jail whose interface or bridge was taken away under it', async () => {
      const jail = trial.jail()
      const before = trial.snapshot()
      await provision(trial.host, jail)
      if (mode === 'vnet') must('ifconfig', trial.layout.jail(jail.name).hostEnd, 'destroy')
      else
        for (const each of jail.addresses)
          must('ifconfig', trial.link, each.includes(':') ? 'inet6' : 'inet', each.split('/')[0] ?? '', '-alias')
      await removeAll(trial.host, jail)
      expect(trial.snapshot()).toEqual(before)
    })
  })
}
