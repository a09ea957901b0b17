import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { checkBoot, checkJailConf } from '../../../../../worker/host/freebsd/checks/check-boot.ts'
import type { TrialFreebsd } from '../../../../support/hosts/trial-freebsd.ts'
import { provision, test } from '../host-test.ts'

const placeOf = ({ run, etc, layout }: TrialFreebsd) => ({ run, etc, layout })

describe('what brings jails back at boot', () => {
  test('is there once the worker has started', async ({ open }) => {
    expect(await checkBoot(placeOf(await open()))).toMatchObject({ ok: true })
  })

  test('is missed, each part by its name', async ({ open }) => {
    const trial = await open()
    trial.kernel.rcConf.set('provost_jails_enable', 'NO')
    trial.kernel.rcConf.set('provost_jails_boot', '/elsewhere')
    rmSync(join(trial.directory, 'usr/local/etc/rc.d/provost_jails'))
    const { ok, detail, remedy } = await checkBoot(placeOf(trial))
    expect(ok).toBe(false)
    expect(detail).toContain('/usr/local/etc/rc.d/provost_jails is not there; rc.conf(5) does not enable provost_jails; ')
    expect(detail).toContain(`provost_jails_boot lacks ${trial.layout.boot}`)
    await trial.runtime().open()
    expect(remedy).toBe('Start the worker again: it arranges that.')
    expect(await checkBoot(placeOf(trial))).toMatchObject({ ok: true })
  })
})

describe("the host's own jail.conf", () => {
  test('has nothing to do with our jails, whatever stands in it for its own', async ({ open }) => {
    const trial = await open()
    await provision(trial, trial.jail())
    expect(await checkJailConf(placeOf(trial))).toMatchObject({ ok: true })
    for (const text of ['allow.raw_sockets;\nmine { persist; path = "/mine"; }\n', 'mine { persist }\n']) {
      writeFileSync(join(trial.etc, 'jail.conf'), text)
      expect(await checkJailConf(placeOf(trial))).toMatchObject({ ok: true })
    }
  })

  test('is named when it includes our jails, or has one of the same name', async ({ open }) => {
    const trial = await open()
    await provision(trial, trial.jail())
    writeFileSync(join(trial.etc, 'jail.conf'), `allow.raw_sockets;\n.include "${trial.layout.boot}/j*.conf";\n`)
    expect(await checkJailConf(placeOf(trial))).toMatchObject({
      ok: false,
      detail: expect.stringContaining('has the jail j1 of Provost, which may come up by it with more than was asked for.'),
    })
    writeFileSync(join(trial.etc, 'jail.conf'), 'j1 { persist; path = "/mine"; }\nother { persist; }\n')
    expect(await checkJailConf(placeOf(trial))).toMatchObject({
      ok: false,
      detail: expect.stringContaining('has the jail j1, and so has Provost.'),
    })
  })
})
