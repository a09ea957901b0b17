import { lstat, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { World } from '../../../../worker/config/world.ts'
import { makeNeutralFreebsd } from '../../../../worker/worlds/files/make-neutral-freebsd.ts'
import { kernel, type Script, scriptedPrograms } from '../../../support/programs/scripted-programs.ts'
import { test } from '../world-fixture.ts'

const world = World.parse({ name: 'base', method: 'archive', release: '14.4' })
const resolver = 'nameserver 192.0.2.53\n'

/** A host's own files and a filled tree with the directories that base.txz has. */
async function filled(scratch: string, version: Script = kernel('14.4-RELEASE-p10')) {
  const [host, directory] = [join(scratch, 'host'), join(scratch, 'tree')]
  for (const path of ['etc', 'var/db']) await mkdir(join(host, path), { recursive: true })
  await writeFile(join(host, 'etc/resolv.conf'), resolver)
  await symlink('/usr/share/zoneinfo/Europe/Berlin', join(host, 'etc/localtime'))
  await writeFile(join(host, 'var/db/zoneinfo'), 'Europe/Berlin\n')
  for (const path of ['etc', 'bin', 'dev', 'var/db']) await mkdir(join(directory, path), { recursive: true })
  await writeFile(join(directory, 'bin/freebsd-version'), '#!/bin/sh\n\nUSERLAND_VERSION="14.4-RELEASE-p3"\n')
  const { run, commands } = scriptedPrograms({ 'freebsd-version': version, chflags: () => 0 })
  const neutral = () => makeNeutralFreebsd({ world, directory, run, signal: new AbortController().signal }, host)
  const read = (path: string) => readFile(join(directory, path), 'utf8')
  return { host, directory, neutral, read, commands }
}

describe('a filled FreeBSD world', () => {
  test('gets the zone of its host, no resolver, an empty fstab and an rc.conf', async ({ scratch }) => {
    const { directory, neutral, read } = await filled(scratch)
    await neutral()
    expect(await read('etc/resolv.conf')).toBe('')
    expect(await readlink(join(directory, 'etc/localtime'))).toBe('/usr/share/zoneinfo/Europe/Berlin')
    expect(await read('var/db/zoneinfo')).toBe('Europe/Berlin\n')
    expect(await read('etc/fstab')).toBe('')
    expect((await read('etc/rc.conf')).split('\n')).toEqual(
      expect.arrayContaining(['sendmail_enable="NONE"', 'syslogd_flags="-ss"']),
    )
    expect((await lstat(join(directory, 'etc/rc.conf'))).mode & 0o777).toBe(0o644)
  })

  test('gets a copy of the zone where the host has a file and no link, and none where it has none', async ({ scratch }) => {
    const { host, directory, neutral, read } = await filled(scratch)
    await rm(join(host, 'etc/localtime'))
    await neutral()
    await expect(lstat(join(directory, 'etc/localtime'))).rejects.toMatchObject({ code: 'ENOENT' })
    await writeFile(join(host, 'etc/localtime'), 'TZif2')
    await neutral()
    expect(await read('etc/localtime')).toBe('TZif2')
  })

  test('is refused where its programs are for Linux, also if its shell is a link', async ({ scratch }) => {
    const { directory, neutral } = await filled(scratch)
    await symlink('dash', join(directory, 'bin/sh'))
    const program = (osAbi: number) =>
      writeFile(join(directory, 'bin/ls'), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, osAbi, 0]))
    for (const linux of [0, 3]) {
      await program(linux)
      await expect(neutral()).rejects.toMatchObject({
        code: 'world_invalid',
        message: 'The programs of world base are for Linux, and this host runs jails of FreeBSD.',
      })
    }
    await program(9)
    await neutral()
  })

  test('gets a directory /dev where it has none', async ({ scratch }) => {
    const { directory, neutral } = await filled(scratch)
    await rm(join(directory, 'dev'), { recursive: true })
    await symlink('/tmp', join(directory, 'dev'))
    await neutral()
    expect((await lstat(join(directory, 'dev'))).isDirectory()).toBe(true)
  })

  test('may have flags on what is written: they are cleared first, and those of all else stay', async ({ scratch }) => {
    const { directory, neutral, commands } = await filled(scratch)
    await neutral()
    const flags = 'noschg,nosappnd,nosunlnk,nouchg,nouappnd,nouunlnk'
    const written = ['', '/dev', '/var', '/var/db'].map((path) => directory + path)
    expect(commands.filter(([program]) => program === 'chflags')).toEqual([
      ['chflags', '-h', flags, ...written],
      ['chflags', '-R', flags, `${directory}/etc`],
    ])
  })

  test('keeps an rc.conf of its own, and loses a filled fstab', async ({ scratch }) => {
    const { directory, neutral, read } = await filled(scratch)
    await writeFile(join(directory, 'etc/rc.conf'), 'sshd_enable="YES"\n')
    await writeFile(join(directory, 'etc/fstab'), '/dev/ada0p2 / ufs rw 1 1\n')
    await neutral()
    expect(await read('etc/rc.conf')).toBe('sshd_enable="YES"\n')
    expect(await read('etc/fstab')).toBe('')
  })

  test('has no link followed that it came with', async ({ scratch }) => {
    const { directory, neutral } = await filled(scratch)
    const outside = join(scratch, 'outside')
    await mkdir(outside)
    const names = ['resolv.conf', 'localtime', 'fstab', 'rc.conf']
    for (const name of names) {
      await writeFile(join(outside, name), 'of the host\n')
      await symlink(join(outside, name), join(directory, 'etc', name))
    }
    await neutral()
    for (const name of names) expect(await readFile(join(outside, name), 'utf8')).toBe('of the host\n')
  })

  test('is refused without a directory /etc, be it a link to one', async ({ scratch }) => {
    const { host, directory, neutral } = await filled(scratch)
    await rename(join(directory, 'etc'), join(directory, 'elsewhere'))
    await symlink(join(host, 'etc'), join(directory, 'etc'))
    await expect(neutral()).rejects.toMatchObject({
      code: 'world_invalid',
      message: 'World base has no directory /etc; at the top of its tree there is bin, dev, elsewhere, etc, var.',
    })
    expect(await readFile(join(host, 'etc/resolv.conf'), 'utf8')).toBe(resolver)
  })

  test('is refused with an /etc/rc that jail(8) could not run, for want of a password database', async ({ scratch }) => {
    const { directory, neutral } = await filled(scratch)
    for (const name of ['rc', 'passwd', 'master.passwd']) await writeFile(join(directory, 'etc', name), '')
    await expect(neutral()).rejects.toMatchObject({
      code: 'world_invalid',
      message: 'World base has /etc/rc and no password database, so jail(8) cannot run it.',
      hint: expect.stringContaining('pwd_mkdb -p -d ETC ETC/master.passwd'),
    })
    for (const name of ['pwd.db', 'spwd.db']) {
      await writeFile(join(directory, 'etc', name), '')
      await neutral()
      await rm(join(directory, 'etc', name))
    }
  })

  test('is refused when it is newer than the kernel, by its own word', async ({ scratch }) => {
    const { directory, neutral } = await filled(scratch)
    await writeFile(join(directory, 'bin/freebsd-version'), '#!/bin/sh\nUSERLAND_VERSION="14.5-RELEASE"\n')
    await expect(neutral()).rejects.toMatchObject({
      code: 'world_too_new',
      message: expect.stringMatching(/14\.5-RELEASE.*14\.4-RELEASE-p10/),
    })
    await writeFile(join(directory, 'bin/freebsd-version'), '#!/bin/sh\nUSERLAND_VERSION="13.5-RELEASE-p9"\n')
    await neutral()
  })

  test('is refused when only a kernel that waits for a reboot is new enough', async ({ scratch }) => {
    const version: Script = ([flag], say) => void say.stdout(flag === '-r' ? '14.3-RELEASE-p2\n' : '14.4-RELEASE-p10\n')
    const { neutral } = await filled(scratch, version)
    await expect(neutral()).rejects.toMatchObject({ code: 'world_too_new' })
  })

  test('is measured by the installed kernel where the one that runs cannot be asked for', async ({ scratch }) => {
    const version: Script = ([flag], say) => {
      if (flag === '-r') return 1
      say.stdout('14.4-RELEASE-p10\n')
      return 0
    }
    await (await filled(scratch, version)).neutral()
  })
})
