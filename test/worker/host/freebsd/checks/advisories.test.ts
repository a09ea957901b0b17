import { describe, expect, it } from 'vitest'
import { checkRelease, judgeRelease } from '../../../../../worker/host/freebsd/checks/advisories.ts'
import { scriptedPrograms } from '../../../../support/programs/scripted-programs.ts'

// FreeBSD-SA-26:66.jail and FreeBSD-SA-26:69.udp: fixed in 15.1-p4, 15.0-p14, 14.5-p1, 14.4-p10.
const fixed = { '15.1': 4, '15.0': 14, '14.5': 1, '14.4': 10 }

describe('the release of a host', () => {
  for (const [release, patch] of Object.entries(fixed)) {
    it(`is well from ${release}-RELEASE-p${patch} on`, () => {
      expect(judgeRelease(`${release}-RELEASE-p${patch}`)).toMatchObject({ ok: true })
      expect(judgeRelease(`${release}-RELEASE-p${patch + 10}`)).toMatchObject({ ok: true })
    })

    it(`lets jails out before ${release}-RELEASE-p${patch}, and says what to bring it to`, () => {
      const before = patch === 1 ? `${release}-RELEASE` : `${release}-RELEASE-p${patch - 1}`
      expect(judgeRelease(before)).toEqual({
        ok: false,
        detail: expect.stringMatching(new RegExp(`^${before} lacks FreeBSD-SA-26:66.jail .*FreeBSD-SA-26:69.udp`)),
        remedy: expect.stringContaining(`${release}-RELEASE-p${patch} or later`),
      })
    })
  }

  // FreeBSD-SA-26:38.jail: 15.1 before p1, 15.0 before p11.
  it('names every advisory that it lacks, and only those', () => {
    const named = (kernel: string) => judgeRelease(kernel).detail.match(/SA-\d\d:\d+/g)
    expect(named('15.0-RELEASE-p10')).toEqual(['SA-26:66', 'SA-26:69', 'SA-26:38'])
    expect(named('15.0-RELEASE-p11')).toEqual(['SA-26:66', 'SA-26:69'])
    expect(named('15.1-RELEASE')).toEqual(['SA-26:66', 'SA-26:69', 'SA-26:38'])
    expect(named('14.4-RELEASE')).toEqual(['SA-26:66', 'SA-26:69'])
  })

  it('is at fault when nobody mends it any more', () => {
    for (const kernel of ['14.3-RELEASE-p9', '13.5-RELEASE-p12', '12.4-RELEASE'])
      expect(judgeRelease(kernel)).toMatchObject({ ok: false, remedy: expect.stringContaining('15.1') })
  })

  it('is noted, not judged, when it is newer than what is known here or no release', () => {
    for (const kernel of ['15.2-RELEASE', '16.0-RELEASE', '14.6-RELEASE-p1', '16.0-CURRENT', '15.1-STABLE', '15.2-RC2'])
      expect(judgeRelease(kernel)).toMatchObject({ ok: true, remedy: expect.any(String) })
  })

  it('is that of the kernel that runs: one that was only installed mends nothing', async () => {
    const version = (running: string) =>
      scriptedPrograms({
        'freebsd-version': ([flag], say) => void say.stdout(`${flag === '-r' ? running : '14.4-RELEASE-p10'}\n`),
      }).run
    expect(await checkRelease(version('14.4-RELEASE-p10'))).toMatchObject({ ok: true })
    expect(await checkRelease(version('14.4-RELEASE-p2'))).toMatchObject({
      ok: false,
      remedy: expect.stringMatching(/Reboot/),
    })
  })

  it('is that of the kernel that runs where the installed one does not say its own', async () => {
    const version = (running: string, exitCode: number) =>
      scriptedPrograms({
        'freebsd-version': ([flag], say) => (flag === '-k' ? exitCode : void say.stdout(`${running}\n`)),
      }).run
    for (const exitCode of [0, 1]) {
      expect(await checkRelease(version('14.4-RELEASE-p10', exitCode))).toEqual({
        ok: true,
        detail: expect.stringMatching(/^14\.4-RELEASE-p10 has .* Whether a newer kernel waits for a reboot is not known/),
        remedy: expect.stringContaining('/boot/kernel/kernel'),
      })
      expect(await checkRelease(version('14.4-RELEASE-p2', exitCode))).toMatchObject({
        ok: false,
        detail: expect.stringMatching(/^14\.4-RELEASE-p2 lacks/),
      })
    }
  })
})
