import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { whyNoFreebsdJails } from '../../support/hosts/host-fitness.ts'
import { patience } from '../../support/patience.ts'
import { must, output } from '../../support/real-freebsd/ask-host.ts'
import { type FreebsdFleet, startFreebsdFleet } from '../../support/real-freebsd/fleet.ts'
import { test } from '../../support/redis/redis-test.ts'

const whyNot = whyNoFreebsdJails()

const timeout = 180_000 * patience
const succeeded = { status: 'succeeded' }

/** What a boot takes from jails, without one: the jails, their mounts, limits and links. */
function takeDownAsABootDoes({ layout, link, config }: FreebsdFleet, names: string[]): void {
  for (const name of names) {
    must('jail', '-R', name)
    must('umount', join(layout.jail(name).root, 'dev'))
    must('rctl', '-r', `jail:${name}`)
    if (config.network.mode === 'vnet') must('ifconfig', layout.jail(name).hostEnd, 'destroy')
  }
  if (config.network.mode === 'vnet') return
  for (const line of output('ifconfig', link).split('\n')) {
    const [, family = '', address = ''] = /^\s+(inet6?) (\S+)/.exec(line) ?? []
    if (family && !address.startsWith('fe80:')) must('ifconfig', link, family, address, '-alias')
  }
}

describe.skipIf(whyNot)('at the boot of a FreeBSD host', () => {
  test.for(['shared', 'vnet'] as const)(
    'jails that are to run come back by rc.d alone, with their limits, whatever jail.conf says: %s',
    { timeout },
    async (mode, { redis }) => {
      const fleet = await startFreebsdFleet(redis, { storage: 'zfs', mode })
      try {
        const before = fleet.snapshot()
        const [up, down] = ['u', 'd'].map((letter) => `${letter}${fleet.tag}`) as [string, string]
        for (const name of [up, down]) expect(await fleet.ended(fleet.ask(name))).toMatchObject(succeeded)
        expect(await fleet.ended(fleet.post(down, 'stop'))).toMatchObject(succeeded)
        const running = fleet.snapshot()
        await fleet.end('worker', 'SIGKILL')
        takeDownAsABootDoes(fleet, [up])
        writeFileSync('/etc/jail.conf', 'allow.raw_sockets; allow.sysvipc; mine { persist }\n')

        expect(must('service', 'provost_jails', 'start')).toMatch(new RegExp(`Starting jails of Provost:.* ${up}\\b`))
        expect(fleet.snapshot()).toEqual(running)
        fleet.start('worker')
        await fleet.hostIs('bsd1', 'up', 60_000)
        expect(await fleet.faultsOf(up)).toEqual([])
        // By its own file, so that nothing of it was started anew.
        expect((await fleet.jail(up))?.reason ?? null).toBeNull()
        for (const name of [up, down]) expect(await fleet.ended(fleet.destroy(name))).toMatchObject(succeeded)
        expect(fleet.snapshot()).toEqual(before)
      } finally {
        await fleet.stop()
      }
    },
  )
})
